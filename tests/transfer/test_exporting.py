"""export_log: a fixed part of a log as it stands, or a complaint; never half a file as a whole."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from events import tenants
from events.log.verify import Damaged
from events.models import Event, TenantHead
from events.transfer import export, stored
from events.transfer.format import COLUMNS
from events.wanted import Wanted
from tests.jobs.conftest import ALICE, ROOT, manage, tampering
from tests.log.sample import ON_POSTGRESQL
from tests.transfer.draft import Draft, as_stored

pytestmark = pytest.mark.usefixtures("committed_db")
Line = dict[str, Any]
NEVER = "infinity" if ON_POSTGRESQL else "2020-01-01 00:00:00"


def lines_of(file: bytes) -> list[Line]:
    return [json.loads(line) for line in file.splitlines()]


def exported(tenant: str, from_seq: int | None = None, to_seq: int | None = None) -> bytes:
    return b"".join(export.jsonl(export.of(tenant, from_seq=from_seq, to_seq=to_seq)))


def damage(tenant: str) -> str:
    with pytest.raises(Damaged) as caught:
        exported(tenant)
    return str(caught.value)


def test_an_export_is_what_the_documentation_says(lived: str) -> None:
    """Made again from its parts by the code of the documentation: the very same bytes."""
    file = exported(lived)
    header, *events, footer = lines_of(file)

    assert tuple(events[0]) == COLUMNS
    assert [event["seq"] for event in events] == [*range(1, 27)]
    made = Draft(header, events).chained()
    assert made.file(footer["checkpoint"]) == file
    stored_data = Event.objects.filter(tenant=lived).order_by("seq").values_list("data", flat=True)
    assert [event["data"] for event in events] == list(stored_data)
    assert as_stored(lived, events[0])["event_id"] == Event.objects.get(tenant=lived, seq=1).pk


def test_pages_of_any_size_give_the_same_bytes(lived: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = exported(lived)
    for size in (1, 7, 25, 26, 27):
        monkeypatch.setattr(export, "PAGE", size)
        assert exported(lived) == whole


def test_what_is_appended_meanwhile_is_not_in_it(
    lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 5)
    before = exported(lived)
    coming = export.jsonl(export.of(lived))
    beginning = [next(coming) for _ in range(3)]
    tenants.issue_token(lived, "meanwhile", "auditor", by=ALICE)

    assert b"".join([*beginning, *coming]) == before


def test_memory_does_not_grow_with_the_log(lived: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 4)
    asked: list[int] = []
    page = stored.page

    def counting(tenant: str, after: int, last: int, limit: int) -> list[stored.Stored]:
        asked.append(len(rows := page(tenant, after, last, limit)))
        return rows

    monkeypatch.setattr(stored, "page", counting)
    chunks = sum(1 for _ in export.jsonl(export.of(lived)))

    assert asked == [4] * 6 + [2]
    assert chunks == 7 + 3


def test_a_part_begins_with_the_hash_before_it(lived: str) -> None:
    whole = lines_of(exported(lived))
    header, *events, footer = lines_of(exported(lived, from_seq=5, to_seq=9))

    assert events == whole[5:10]
    assert (header["from_seq"], header["to_seq"]) == (5, 9)
    assert header["prior_hash"] == whole[4]["hash"]
    assert footer["checkpoint"].splitlines()[1] == "9"


@pytest.mark.parametrize("part", [("0", "9"), ("9", "8"), ("1", "27"), ("27", "27"), ("-1", "3")])
def test_a_part_that_the_log_has_not_is_refused(lived: str, part: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=f"^{lived}'s log has events 1 to 26, and no part"):
        manage("export_log", lived, f"--from-seq={part[0]}", f"--to-seq={part[1]}")


def test_an_empty_log_has_no_parts(acme: str) -> None:
    assert len(exported(acme).splitlines()) == 2
    with pytest.raises(CommandError, match="log is empty"):
        manage("export_log", acme, "--from-seq", "1")


def test_the_command_gives_the_file_and_says_so_beside_it(lived: str) -> None:
    said = manage("export_log", lived)

    assert said.out.encode() == exported(lived)
    tip = bytes(TenantHead.objects.get(tenant=lived).hash).hex()[:8]
    assert said.err.splitlines()[-1].startswith(
        f"{lived}: events 1 to 26 exported, head 26-{tip}, "
    )


def test_an_export_by_the_machine_is_no_fact(lived: str) -> None:
    manage("export_log", lived)

    assert TenantHead.objects.get(tenant=lived).seq == 26


def test_a_file_is_there_when_it_is_whole(lived: str, tmp_path: Path) -> None:
    output = tmp_path / "acme.jsonl"
    output.write_bytes(b"the one from yesterday")

    said = manage("export_log", lived, "--output", str(output))

    assert said.out == ""
    assert output.read_bytes() == exported(lived)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_event WHERE tenant_id = %s AND seq = 20", [lived])
        with pytest.raises(CommandError, match="seq 20: it is missing"):
            manage("export_log", lived, "--output", str(output))
    assert output.read_bytes() == exported(lived)
    assert [each.name for each in tmp_path.iterdir()] == ["acme.jsonl"]


def test_a_place_that_cannot_be_written_is_one_line(lived: str, tmp_path: Path) -> None:
    for place in (tmp_path / "none" / "file", tmp_path):
        with pytest.raises(CommandError, match="cannot be written: ") as caught:
            manage("export_log", lived, "--output", str(place))
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_nobody_exports_a_tenant_that_is_not_there(fresh_slug: Callable[[str], str]) -> None:
    with pytest.raises(CommandError, match="There is no tenant"):
        manage("export_log", fresh_slug("nobody"))


def test_whoever_stops_reading_gets_no_traceback(
    lived: str, subprocess_env: dict[str, str]
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "manage.py", "export_log", lived],
            cwd=ROOT,
            env=subprocess_env,
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write_end)

    assert done.returncode == 1
    assert done.stderr == "CommandError: Nobody reads on; the export is not whole.\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM events_event WHERE seq = 7", "seq 7: it is missing"),
        ("DELETE FROM events_event WHERE seq > 23", "seq 24: it is missing"),
        ("UPDATE events_event SET seq = 99 WHERE seq = 9", "seq 9: it is missing"),
        ("UPDATE events_event SET actor = 'user:bob' WHERE seq = 7", "its hash does not follow"),
        ("UPDATE events_event SET reason = NULL WHERE seq = 7", "its hash does not follow"),
        (
            f"UPDATE events_event SET occurred_at = '{NEVER}' WHERE seq = 7",
            "seq 7: its hash does not follow",
        ),
    ],
)
def test_a_damaged_log_gives_no_whole_file(lived: str, change: str, words: str) -> None:
    with tampering() as cursor:
        cursor.execute(f"{change} AND tenant_id = %s", [lived])
        assert words in damage(lived)
        with pytest.raises(CommandError, match=r"What was written is no export\. verify_log tells"):
            manage("export_log", lived)


def test_a_part_whose_end_is_missing_is_not_begun(lived: str) -> None:
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_event WHERE seq = 9 AND tenant_id = %s", [lived])
        for part in (("--to-seq", "9"), ("--from-seq", "10")):
            with pytest.raises(CommandError, match="seq 9: it is missing"):
                manage("export_log", lived, *part)


@pytest.mark.parametrize(
    "change",
    ["occurred_at = timestamptz '4000-01-01 BC'"]
    if ON_POSTGRESQL
    else ["occurred_at = 'noon'", "data = x'ff'", "version = 'x'", "event_id = 'x'"],
)
def test_what_no_append_writes_is_damage_and_no_traceback(lived: str, change: str) -> None:
    with tampering() as cursor:
        cursor.execute(
            f"UPDATE events_event SET {change} WHERE tenant_id = %s AND seq = 7", [lived]
        )
        assert "seq 7: it cannot be read" in damage(lived)


def test_a_head_that_is_not_its_last_event_is_not_exported(lived: str) -> None:
    with tampering() as cursor:
        cursor.execute(
            "UPDATE events_tenanthead SET hash = prior_hash WHERE tenant_id = %s", [lived]
        )
        assert "another hash than the last event" in damage(lived)


def test_filters_pick_what_they_pick_in_the_timeline(
    lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FILTERED_PAGE", 2)
    chosen = export.of(lived, wanted=Wanted(texts=("drains",)), filters={"q": "drains"})

    header, *events, footer = lines_of(b"".join(export.jsonl(chosen)))

    assert header["filters"] == {"q": "drains"}
    assert (header["from_seq"], header["to_seq"]) == (1, 26)
    assert {event["type"] for event in events} == {"AgentPausedEvent"}
    assert footer["checkpoint"].splitlines()[1] == "26"
    everything = export.of(lived, wanted=Wanted(), filters={"types": "*"})
    assert lines_of(b"".join(export.jsonl(everything)))[1:-1] == lines_of(exported(lived))[1:-1]
