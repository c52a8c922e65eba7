"""Every Python file belongs to a declared room: `python -m tests.house.rooms`.

The rooms are declared in pyproject.toml under [tool.agentmesh.rooms]; what each may import is the
business of import-linter, which only sees rooms it was told of. This check closes that gap.
"""

import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_SOURCE = frozenset({"var", "staticfiles", "node_modules", "__pycache__"})
SAYS_NOTHING = frozenset({"utils", "util", "common", "helpers", "helper", "core", "misc"})


def strays(root: Path) -> list[str]:
    """One line for each fault under `root`; empty when every file has its room."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    rooms = set(project["agentmesh"]["rooms"])
    faults = [
        f"{room} is declared as a room and does not exist."
        for room in sorted(rooms)
        if not (root / room).exists()
    ]
    packages = {room for room in rooms if not room.endswith(".py")} - {"tests"}
    faults += [
        f"{room} is not both a room and a root package of import-linter."
        for room in sorted(packages ^ set(project["importlinter"]["root_packages"]))
    ]
    for file in sorted(python_files(root)):
        if file.parts[0] not in rooms:
            faults.append(f"{file} belongs to no declared room. Move it into one.")
        empty = SAYS_NOTHING & {part.removesuffix(".py") for part in file.parts}
        if empty:
            faults.append(f"{file}: the name '{min(empty)}' does not say what is inside.")
    return faults


def python_files(root: Path) -> Iterator[Path]:
    """Every Python file that is ours, relative to `root`; hidden folders hold tools, not source."""
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in NOT_SOURCE and not name.startswith(".")]
        for file in files:
            if file.endswith((".py", ".pyi")):
                yield (Path(folder) / file).relative_to(root)


def main() -> int:
    faults = strays(ROOT)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201 -- a command
    print(f"rooms: {len(faults)} faults" if faults else "rooms: every file has its room")  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
