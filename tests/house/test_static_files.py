"""Collected files: named by their content, and each module under one name."""

import re
import shutil
from pathlib import Path

from agentmesh_site.static_files import HashedFiles
from tests.house.rooms import ROOT

SCRIPTS = ROOT / "agentmesh_site" / "static" / "agentmesh"
IMPORTED = re.compile(r"""(?:from|import)\s*["'](\.[^"']+)["']""")


def test_a_collected_module_imports_others_by_the_names_that_pages_load_them_by(
    tmp_path: Path,
) -> None:
    collected = tmp_path / "agentmesh"
    shutil.copytree(SCRIPTS, collected)
    storage = HashedFiles(location=tmp_path)
    files = {
        str(file.relative_to(tmp_path)): (storage, str(file.relative_to(tmp_path)))
        for file in collected.rglob("*.js")
    }

    made = [(name, new) for name, new, _ in storage.post_process(files) if new]
    hashed = {name: new for name, new in made if new.endswith(".js")}

    imports = 0
    for name, new in hashed.items():
        for said in IMPORTED.findall((tmp_path / new).read_text(encoding="utf-8")):
            imports += 1
            target = ((tmp_path / new).parent / said).resolve()
            assert str(target.relative_to(tmp_path.resolve())) in hashed.values(), (name, said)
    assert imports > 3
