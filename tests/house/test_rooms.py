from pathlib import Path

import pytest

from tests.house.rooms import ROOT, strays

PYPROJECT = """
[tool.agentmesh.rooms]
"manage.py" = "the command line"
events = "what happened"
tests = "proof"

[tool.importlinter]
root_packages = ["events"]
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house in order."""
    for file in ("manage.py", "events/log.py", "tests/test_log.py", "var/draft.py", ".venv/x.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


def test_every_file_of_this_project_has_its_room() -> None:
    assert strays(ROOT) == []


def test_a_house_in_order_has_no_faults(house: Path) -> None:
    assert strays(house) == []


@pytest.mark.parametrize("stray", ["scratch.py", "billing/invoices.py"])
def test_a_file_outside_the_declared_rooms_is_a_fault(house: Path, stray: str) -> None:
    (house / stray).parent.mkdir(exist_ok=True)
    (house / stray).touch()

    assert strays(house) == [f"{stray} belongs to no declared room. Move it into one."]


def test_a_declared_room_must_exist(house: Path) -> None:
    (house / "manage.py").unlink()

    assert strays(house) == ["manage.py is declared as a room and does not exist."]


def test_a_room_that_the_import_rules_do_not_know_is_a_fault(house: Path) -> None:
    text = PYPROJECT.replace('tests = "proof"', 'tests = "proof"\nagents = "what may happen"')
    (house / "pyproject.toml").write_text(text)
    (house / "agents").mkdir()

    assert strays(house) == ["agents is not both a room and a root package of import-linter."]


@pytest.mark.parametrize("name", ["utils.py", "core/append.py"])
def test_a_name_that_says_nothing_is_a_fault(house: Path, name: str) -> None:
    file = house / "events" / name
    file.parent.mkdir(exist_ok=True)
    file.touch()

    (fault,) = strays(house)
    assert fault.endswith("does not say what is inside.")
