"""The schema lock: it takes what is new, and holds everybody to what is there."""

import shutil
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import CommandError

from events import registry
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.casters import Caster, Payload
from events.facts import DomainEvent
from events.registry import Kind
from events.schemas import lock
from events.schemas.lock import golden_file
from events.vocabulary import AgentActivatedEvent, AgentPausedEvent, AgentTaskCompletedEvent
from tests.jobs.conftest import Said, manage
from tests.schemas.conftest import Redefine

LOCKED = len(registry.kinds())

PAUSED = Kind("AgentPausedEvent", "1.0")
PAUSED_TWO = Kind("AgentPausedEvent", "2.0")


class Two(AgentPausedEvent, frozen=True):
    """The agent takes no new task, for a reason of a category."""

    version: ClassVar[str] = "2.0"
    category: str = ""

    @classmethod
    def wire_type(cls) -> str:
        return "AgentPausedEvent"


def _up(payload: Payload) -> Payload:
    return {**payload, "category": "other"}


def _down(payload: Payload) -> Payload:
    return {name: value for name, value in payload.items() if name != "category"}


TO_TWO = Caster(AgentPausedEvent, "2.0", up=_up, down=_down)
WITH_PAUSED: dict[str, Any] = {
    "ancestors": [*registry.ANCESTORS, AgentPausedEvent],
    "casters": [*registry.CASTERS, TO_TWO],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of our own to write to."""
    made = tmp_path / "schemas"
    shutil.copytree(lock.HERE, made)
    monkeypatch.setattr(lock, "HERE", made)
    return made


def found() -> list[tuple[str, str]]:
    """Ids and messages of the system checks of schemas."""
    ids = ("events.E002", "events.E003", "events.E004")
    messages = [each for each in run_checks() if each.id in ids]
    assert all(each.hint for each in messages)
    return [(str(each.id), each.msg) for each in messages]


def refused(*arguments: str) -> Said:
    """What the command tells of each difference, and the one line with which it refuses."""
    lines = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("schema_lock", *arguments, stderr=lines)
    return Said(lines.getvalue(), str(error.value))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*.json*")}


def test_code_and_lock_agree() -> None:
    assert found() == []
    assert manage("schema_lock", "--check").out == f"{LOCKED} schemas locked, nothing changed.\n"


def test_locking_again_changes_nothing(folder: Path) -> None:
    before = contents(folder)

    assert manage("schema_lock").out == f"{LOCKED} schemas locked, nothing changed.\n"
    assert contents(folder) == before


class TestANewVersion:
    def test_is_missed_until_it_is_locked(self, redefine: Redefine, folder: Path) -> None:
        redefine(newest=[Two], **WITH_PAUSED)
        before = lock.read(folder)

        assert found() == [("events.E004", "AgentPausedEvent 2.0 is not in the schema lock.")]
        said = refused("--check")
        assert said == (
            "AgentPausedEvent 2.0 is new.\n",
            "1 difference. Run manage.py schema_lock.",
        )
        assert lock.read(folder) == before

        out = manage("schema_lock").out.splitlines()

        assert out[0] == "AgentPausedEvent 2.0 is new."
        assert out[-1] == f"{LOCKED + 1} schemas locked, 1 change. Commit events/schemas."
        assert found() == []
        after = lock.read(folder)
        del after["AgentPausedEvent"]["2.0"]
        assert after == before
        manage("schema_lock", "--check")

    def test_takes_its_golden_payloads_from_the_version_before(
        self, redefine: Redefine, folder: Path
    ) -> None:
        redefine(newest=[Two], **WITH_PAUSED)
        manage("schema_lock")

        old = golden_file(PAUSED, folder).read_bytes().splitlines()
        new = golden_file(PAUSED_TWO, folder).read_bytes().splitlines()
        assert [msgspec.json.decode(line) for line in new] == [
            msgspec.json.decode(line) | {"category": "other"} for line in old
        ]

    def test_needs_a_caster(self, redefine: Redefine, folder: Path) -> None:
        redefine(newest=[Two], ancestors=WITH_PAUSED["ancestors"])
        before = contents(folder)

        assert ("events.E003", "AgentPausedEvent 1.0 has no caster to 2.0.") in found()
        assert "AgentPausedEvent 1.0 has no caster to 2.0." in refused().out
        assert contents(folder) == before

    def test_needs_its_ancestor(self, redefine: Redefine, folder: Path) -> None:
        redefine(newest=[Two])
        before = contents(folder)

        assert [each for each in found() if each[0] == "events.E004"] == [
            ("events.E004", "AgentPausedEvent 2.0 is not in the schema lock."),
            (
                "events.E004",
                "AgentPausedEvent 1.0 is in the schema lock and no definition has it.",
            ),
        ]
        assert "no definition has it" in refused().out
        assert contents(folder) == before

    def test_needs_a_number_of_its_own(self, redefine: Redefine) -> None:
        class Same(Two, frozen=True):
            version: ClassVar[str] = "1.0"

        redefine(newest=[Same], ancestors=WITH_PAUSED["ancestors"])

        assert ("events.E003", "AgentPausedEvent 1.0 is defined 2 times.") in found()

    def test_that_leaves_a_hole_is_refused(self, redefine: Redefine) -> None:
        class Three(Two, frozen=True):
            version: ClassVar[str] = "3.0"

        redefine(newest=[Three], **WITH_PAUSED)

        assert {message for number, message in found() if number == "events.E003"} == {
            "AgentPausedEvent 1.0 has no caster to 3.0.",
            "AgentPausedEvent 1.0 has a caster to 2.0, which is not its neighbour.",
        }

    def test_has_one_caster_and_not_two(self, redefine: Redefine) -> None:
        redefine(
            newest=[Two],
            ancestors=WITH_PAUSED["ancestors"],
            casters=[*WITH_PAUSED["casters"], TO_TWO],
        )

        assert ("events.E003", "AgentPausedEvent 1.0 has 2 casters to 2.0.") in found()


class TestAChangedSchema:
    @pytest.fixture
    def changed(self, redefine: Redefine) -> None:
        class Changed(Two, frozen=True):
            version: ClassVar[str] = "1.0"

        redefine(newest=[Changed])

    MESSAGE = "AgentPausedEvent 1.0 has another schema than the lock, and the same version."

    @pytest.mark.usefixtures("changed")
    def test_is_refused_without_a_new_version(self, folder: Path) -> None:
        before = contents(folder)

        assert found() == [("events.E002", self.MESSAGE)]
        for arguments in ((), ("--check",), ("--unreleased", "AgentActivatedEvent/1.0")):
            said = refused(*arguments)
            assert said.out.startswith(self.MESSAGE)
            assert "make it a new version" in said.out
            assert said.err == "1 difference; nothing was written."
        assert contents(folder) == before

    @pytest.mark.usefixtures("changed")
    def test_of_a_version_that_nobody_has_may_be_locked_when_one_says_so(
        self, folder: Path
    ) -> None:
        out = manage("schema_lock", "--unreleased", "AgentPausedEvent/1.0").out

        assert out.startswith("AgentPausedEvent 1.0 is changed.\n")
        assert b'"category":""' in golden_file(PAUSED, folder).read_bytes()
        assert found() == []
        manage("schema_lock", "--check")

    def test_that_cannot_read_its_golden_payloads_says_which_to_mend(
        self, redefine: Redefine, folder: Path
    ) -> None:
        class Stricter(AgentPausedEvent, frozen=True, kw_only=True):
            category: str

            @classmethod
            def wire_type(cls) -> str:
                return "AgentPausedEvent"

        redefine(newest=[Stricter])
        before = contents(folder)

        said = refused("--unreleased", "AgentPausedEvent/1.0")

        assert "golden/AgentPausedEvent-1.0.jsonl: line 1 is no such payload" in said.out
        assert "missing required field `category`" in said.out
        assert contents(folder) == before

    def test_in_its_words_alone_is_no_change_for_readers(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AgentPausedEvent, "__doc__", "The agent has paused.")

        assert found() == []
        assert refused("--check").out == "AgentPausedEvent 1.0 has other words.\n"
        manage("schema_lock")
        manage("schema_lock", "--check")

    def test_of_an_ancestor_is_refused_too(self, redefine: Redefine) -> None:
        class Edited(AgentTaskCompletedEventV1, frozen=True):
            """The agent completed its task."""

            more: int = 0

        caster = Caster(Edited, "2.0", up=dict, down=dict)
        redefine(newest=[AgentTaskCompletedEvent], ancestors=[Edited], casters=[caster])

        (fault,) = found()
        assert fault[0] == "events.E002"
        assert fault[1].startswith("AgentTaskCompletedEvent 1.0 has another schema")


class TestANewType:
    class AgentDancedEvent(DomainEvent, frozen=True):
        """The agent danced."""

        steps: int

    @pytest.fixture(autouse=True)
    def danced(self, redefine: Redefine) -> None:
        redefine(newest=[self.AgentDancedEvent])

    def test_needs_a_golden_payload_by_hand(self, folder: Path) -> None:
        said = refused()

        assert "AgentDancedEvent 1.0 has no golden payload" in said.out
        assert "events/schemas/golden/AgentDancedEvent-1.0.jsonl" in said.out

    def test_is_locked_with_it(self, folder: Path) -> None:
        fact = self.AgentDancedEvent("a-1", steps=3)
        file = golden_file(Kind("AgentDancedEvent", "1.0"), folder)
        file.write_bytes(msgspec.json.encode(fact) + b"\n")

        manage("schema_lock")

        assert found() == []

    @pytest.mark.parametrize("wrong", [b"", b"{}\n", b'{"agent_id":"a-1", "steps":3}\n', b"\xff\n"])
    def test_is_not_locked_with_a_wrong_one(self, folder: Path, wrong: bytes) -> None:
        golden_file(Kind("AgentDancedEvent", "1.0"), folder).write_bytes(wrong)

        assert "AgentDancedEvent-1.0.jsonl: " in refused().out
        assert "AgentDancedEvent" not in lock.read(folder)


def test_a_changed_golden_payload_is_refused(folder: Path) -> None:
    file = golden_file(PAUSED, folder)
    file.write_bytes(file.read_bytes().replace(b"Maintenance", b"maintenance"))

    assert "AgentPausedEvent-1.0.jsonl is not what was locked" in refused("--check").out
    assert "Take it from version control" in refused().out


def test_a_lost_golden_payload_is_not_made_up(folder: Path) -> None:
    golden_file(PAUSED, folder).unlink()

    assert "AgentPausedEvent 1.0 has no golden payload" in refused().out


def test_a_golden_payload_of_nothing_is_cleared_away(folder: Path) -> None:
    stray = golden_file(Kind("AgentDancedEvent", "1.0"), folder)
    stray.write_bytes(b"{}\n")

    assert "AgentDancedEvent-1.0.jsonl is of no version" in refused("--check").out
    manage("schema_lock")
    assert not stray.exists()


def test_a_definition_that_is_gone_is_let_go_only_when_nobody_had_it(
    redefine: Redefine, folder: Path
) -> None:
    redefine(newest=[AgentTaskCompletedEvent], ancestors=[], casters=[])
    message = "AgentTaskCompletedEvent 1.0 is in the schema lock and no definition has it."

    assert found() == [("events.E004", message)]
    assert message in refused().out
    manage("schema_lock", "--unreleased", "AgentTaskCompletedEvent/1.0")
    assert found() == []
    assert not golden_file(Kind("AgentTaskCompletedEvent", "1.0"), folder).exists()


@pytest.mark.parametrize("content", [None, b"", b"<<<<<<< main", b'{"A": {"1.0": {}}}'])
def test_a_lock_that_cannot_be_read_is_a_fault_and_no_crash(
    folder: Path, content: bytes | None
) -> None:
    if content is None:
        (folder / "lock.json").unlink()
    else:
        (folder / "lock.json").write_bytes(content)

    ((number, message),) = found()
    assert number == "events.E004"
    assert message.startswith("The schema lock cannot be read")
    assert "Take the file from version control." in refused().err


@pytest.mark.parametrize("wrong", ["AgentPausedEvent", "/1.0", "AgentPausedEvent/", ""])
def test_unreleased_wants_a_type_and_a_version(wrong: str) -> None:
    assert refused("--unreleased", wrong).err.startswith("--unreleased takes TYPE/VERSION")


def test_unreleased_wants_what_there_is() -> None:
    said = refused("--unreleased", "AgentPausedEvent/9.0")

    assert said.out == "There is no AgentPausedEvent 9.0.\n"


def test_the_vocabulary_registers_whatever_it_defines() -> None:
    assert AgentActivatedEvent in registry.DOMAIN_EVENTS
    assert AgentTaskCompletedEventV1 in registry.ANCESTORS
    assert DomainEvent not in registry.DOMAIN_EVENTS
