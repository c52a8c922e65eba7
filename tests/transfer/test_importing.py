"""A log moves between installations and engines as the same bytes, whole or not at all."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.test import override_settings

from agents import services
from agents.domain.errors import RuleViolated
from agents.models import CurrentAgent, TaskClaim
from agents.rebuild import compare
from events import tenants
from events.bus import events_committed
from events.facts import JSON
from events.log import read
from events.log.proposal import Context
from events.log.verify import verify
from events.models import Event, Membership, SignedCheckpoint, Tenant, TenantHead, Token
from events.tenant_facts import SettingsChanged
from events.tenants import Refused
from events.transfer import export, importing
from events.transfer.arriving import BadFile
from events.transfer.importing import import_log, log_imported
from tests.jobs.conftest import ROOT, live_a_little, manage, until
from tests.transfer.draft import NOON, SIGNER, Draft, draft, spelt, story

pytestmark = pytest.mark.usefixtures("committed_db")
GOLDEN = Path(__file__).parent / "golden.jsonl"
BOB = Context(actor="user:bob")


@pytest.fixture
def slug(fresh_slug: Callable[[str], str]) -> str:
    return fresh_slug("acme")


def brought_in(file: bytes, **options: bool) -> importing.Imported:
    return import_log(BytesIO(file), **options)


def exported(tenant: str) -> bytes:
    return b"".join(export.jsonl(export.of(tenant)))


def is_absent(told: Draft) -> bool:
    """Whether nothing at all is left of an import."""
    slug = told.slug
    tables = (Event, TenantHead, SignedCheckpoint, CurrentAgent, TaskClaim)
    return not Tenant.objects.filter(slug=slug).exists() and not any(
        model._default_manager.filter(tenant=slug).exists() for model in tables
    )


def test_the_golden_file_comes_out_as_it_went_in() -> None:
    """The file was written by hand in another place, and signed there. On both engines it makes
    the same log, so from either it is the same file again."""
    golden = GOLDEN.read_bytes()
    assert golden == story("golden").file()

    done = brought_in(golden)

    assert (done.tenant, done.seq, done.streams) == ("golden", 13, 2)
    assert exported("golden") == golden
    assert verify("golden").seq == 13
    assert list(compare("golden")[1]) == []


def test_live_rows_equal_those_of_the_installation_it_came_from(slug: str) -> None:
    told = story(slug)
    brought_in(told.file())

    agent = CurrentAgent.objects.get(tenant=slug)
    claims = dict(TaskClaim.objects.filter(tenant=slug).values_list("task_id", "status"))
    tenant = Tenant.objects.get(slug=slug)
    assert (agent.agent_id, agent.name, agent.status) == ("agent-1", "=cmd()", "BUSY")
    assert claims == {"t-0": "completed", "t-1": "failed", "t-2": "assigned"}
    assert (tenant.name, str(tenant.log_id)) == ("Acme & Söhne", told.header["log_id"])
    assert list(compare(slug)[1]) == []


def test_the_log_goes_on_where_it_came_to(slug: str) -> None:
    told = story(slug)
    brought_in(told.file())
    head = TenantHead.objects.get(tenant=slug)
    assert bytes(head.prior_hash).hex() == told.events[-2]["hash"]

    services.complete_task(
        tenant=slug, agent_id="agent-1", task_id="t-2", execution_time_ms=1, by=BOB
    )
    with pytest.raises(RuleViolated):
        services.assign_task(tenant=slug, agent_id="agent-1", task_id="t-0", by=BOB)

    after = read.head(slug)
    assert after is not None
    assert after.seq == 15
    assert verify(slug).hash == after.hash
    assert list(compare(slug)[1]) == []


def test_an_empty_log_moves_too_and_goes_on(slug: str) -> None:
    tenants.create_tenant(slug)
    file = exported(slug)
    moved = draft(f"{slug[:50]}-2", [])
    brought_in(moved.file())

    assert exported(moved.slug) == moved.file()
    live_a_little(moved.slug)
    assert verify(moved.slug).seq == 26
    assert b'"from_seq":1,"to_seq":0,' in file


def test_where_payloads_were_confidential_they_are_so_where_the_log_came_to(slug: str) -> None:
    settings = [
        SettingsChanged(changed={"confidential_payloads": on}, occurred_at=NOON)
        for on in (True, False, True)
    ]
    settings.append(SettingsChanged(changed={"colour": "blue"}, occurred_at=NOON))
    brought_in(draft(slug, settings).file())
    assert Tenant.objects.get(slug=slug).confidential_payloads

    other = f"{slug[:50]}-2"
    brought_in(draft(other, settings[:2]).file())
    assert not Tenant.objects.get(slug=other).confidential_payloads


def test_settings_stand_as_the_log_tells_them_and_what_is_not_known_here_is_left_out(
    slug: str,
) -> None:
    told: list[dict[str, JSON]] = [
        {"name": "Acme", "time_zone": "Asia/Tokyo"},
        {"time_zone": "Europe/Berlin"},
        {"time_zone": "Mars/Olympus", "name": 7, "confidential_payloads": "yes"},
    ]
    facts = [SettingsChanged(changed=each, occurred_at=NOON) for each in told]
    brought_in(draft(slug, facts).file())

    tenant = Tenant.objects.get(slug=slug)
    assert (tenant.name, tenant.time_zone) == ("Acme", "Europe/Berlin")
    assert not tenant.confidential_payloads


def test_an_import_lets_nobody_in(slug: str) -> None:
    brought_in(story(slug).file())

    assert not Membership.objects.filter(tenant=slug).exists()
    assert not Token.objects.filter(tenant=slug).exists()


def test_the_bus_is_silent_and_whoever_derives_is_told_in_the_transaction(slug: str) -> None:
    heard: list[Any] = []

    def hear(signal: object, sender: object, **told: Any) -> None:
        heard.append((told["tenant"], told["seq"], told["hash"], connection.in_atomic_block))

    def committed(**_: object) -> None:
        raise AssertionError("an imported event happened elsewhere")

    log_imported.connect(hear)
    events_committed.connect(committed)
    try:
        done = brought_in(story(slug).file())
    finally:
        log_imported.disconnect(hear)
        events_committed.disconnect(committed)

    assert heard == [(slug, 13, done.hash, True)]


def test_whoever_derives_can_refuse(slug: str) -> None:
    def refuse(**_: object) -> None:
        raise Refused("No.")

    log_imported.connect(refuse)
    try:
        with pytest.raises(Refused, match="No"):
            brought_in(story(slug).file())
    finally:
        log_imported.disconnect(refuse)

    assert is_absent(story(slug))


def test_a_note_of_elsewhere_stays_the_note_of_its_place(slug: str) -> None:
    """Until the log goes on: then we say how it stands, with our own key."""
    told = story(slug)
    with override_settings(SIGNING_KEY=bytes(32)):
        brought_in(told.file())
        assert exported(slug) == told.file()
        tenants.issue_token(slug, "ci", "auditor", by=BOB)
        again = exported(slug)
    assert again.splitlines()[-1] != told.file().splitlines()[-1]
    assert "mesh.example.org" not in again.splitlines()[-1].decode()


def test_an_unsigned_file_is_taken_and_no_note_is_kept(slug: str) -> None:
    told = story(slug)
    told.signer = None

    done = brought_in(told.file())

    assert (done.signed_by, done.signers) == (None, ())
    assert not SignedCheckpoint.objects.filter(tenant=slug).exists()


def test_a_signature_that_we_know_is_named_and_can_be_required(slug: str) -> None:
    told = story(slug)
    with pytest.raises(BadFile, match=r"line 15: .* by mesh\.example\.org, whose key is not known"):
        brought_in(told.file(), require_signature=True)
    assert is_absent(told)
    with override_settings(VERIFICATION_KEYS=[str(SIGNER.key)]):
        forged = told.checkpoint()[:-8] + "AAAAAA=\n"
        with pytest.raises(BadFile, match=r"line 15: "):
            brought_in(told.file(forged))
        assert is_absent(told)
        done = brought_in(told.file(), require_signature=True)
    assert done.signed_by == str(SIGNER.key)


def test_what_is_there_already_is_refused(slug: str) -> None:
    told = story(slug)
    brought_in(told.file())
    before = exported(slug)

    with pytest.raises(Refused, match=f"Tenant {slug} exists already"):
        brought_in(told.file())
    other = story(f"{slug[:50]}-2", ids=slug)
    with pytest.raises(Refused, match=r"The log \S+ exists already"):
        brought_in(other.file())
    assert is_absent(other)
    assert exported(slug) == before


def test_an_event_that_is_in_another_log_is_refused_with_its_line(slug: str) -> None:
    brought_in(story(slug).file())
    other = story(f"{slug[:50]}-2")
    other.events[6]["event_id"] = story(slug).events[2]["event_id"]

    with pytest.raises(BadFile, match=r"line 8: an event with its event_id exists already\."):
        brought_in(other.chained().file())

    assert is_absent(other)


def test_an_event_id_cannot_stand_twice_in_a_file(slug: str) -> None:
    told = story(slug)
    told.events[6]["event_id"] = told.events[2]["event_id"]

    with pytest.raises(BadFile, match=r"line 8: an event with its event_id exists already\."):
        brought_in(told.chained().file())

    assert is_absent(told)


def test_a_log_that_makes_no_agents_is_refused(slug: str) -> None:
    """Hashes and facts are in order, but no aggregate can have decided them."""
    told = story(slug)
    started_late = draft(slug, [])
    started_late.events = [
        event | {"seq": number, "version": number}
        for number, event in enumerate(
            (each for each in told.events[1:] if each["stream_type"] == "agent"), 1
        )
    ]
    with pytest.raises(Refused, match=r"seq 1 cannot be read .*AgentCreatedEvent"):
        brought_in(started_late.chained().file())
    assert is_absent(told)

    twice = story(slug)
    twice.events[8]["data"] = twice.events[8]["data"].replace('"t-1"', '"t-0"')
    twice.events[9]["data"] = twice.events[9]["data"].replace('"t-1"', '"t-0"')
    with pytest.raises(Refused, match="assigned again after it was completed"):
        brought_in(twice.chained().file())
    assert is_absent(told)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "x" * 257, "name: must be at most 256"),
        ("agent_id", "a/b\n", "agent_id: must be 3 to 256"),
        ("agent_id", "", "agent_id: must be 3 to 256"),
        ("task_id", "t" * 257, "task_id: must be 1 to 256"),
        ("task_id", "../t", "task_id: must be 1 to 256"),
    ],
)
def test_names_that_no_command_gives_are_refused_on_both_engines_alike(
    slug: str, field: str, value: str, words: str
) -> None:
    told = story(slug)
    for event in told.events:
        data = json.loads(event["data"])
        if field in data and event["stream_type"] == "agent":
            event["data"] = json.dumps(data | {field: value})
            if field == "agent_id":
                event["stream_id"] = value

    with pytest.raises(Refused, match=words):
        brought_in(told.chained().file())

    assert is_absent(told)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL is sent row by row")
def test_large_events_are_not_gathered_before_they_are_written(
    slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = story(slug)
    monkeypatch.setattr(importing, "BATCH_CHARACTERS", 300)
    seen: list[int] = []
    batches = importing._batches

    def watched(rows: Any) -> Any:
        for batch in batches(rows):
            seen.append(sum(len(row[importing._DATA]) for row in batch))
            yield batch

    monkeypatch.setattr(importing, "_batches", watched)
    brought_in(told.file())

    assert sum(seen) == sum(len(event["data"]) for event in told.events)
    largest = max(len(event["data"]) for event in told.events)
    assert len(seen) > 3
    assert max(seen) < 300 + largest


def test_a_bad_last_line_leaves_nothing(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    told = story(slug)
    told.events[-1]["actor"] = "user:mallory"

    with pytest.raises(BadFile, match="line 14: its hash does not follow"):
        brought_in(told.file(told.checkpoint()))

    assert is_absent(told)
    assert not connection.in_atomic_block


def test_it_says_what_it_did_and_what_to_do_next(slug: str, tmp_path: Path) -> None:
    told, file = story(slug), tmp_path / "file.jsonl"
    file.write_bytes(told.file())

    said = manage("import_log", str(file))

    tip = told.events[-1]["hash"][:8]
    assert said.out == (
        f"{slug}: 13 events of 2 streams imported, head 13-{tip}. "
        f"Nobody may enter yet: create_member.\n"
    )
    assert said.err == (
        "The file is whole; its checkpoint is signed by mesh.example.org, whose key is not known "
        "here.\n"
    )
    with pytest.raises(CommandError, match=f"^Tenant {slug} exists already"):
        manage("import_log", str(file))


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes(b"hello\n")
    for argument, words in (
        (str(file), f"{re.escape(str(file))}: line 1: it is no header .* Nothing was imported"),
        (str(tmp_path), "cannot be read: Is a directory"),
        (str(tmp_path / "none"), "cannot be read: No such file"),
        ("a\0b", "cannot be read"),
        ("\udcff", "cannot be read"),
    ):
        with pytest.raises(CommandError, match=words) as caught:
            manage("import_log", argument)
        assert "\n" not in str(caught.value)


def test_killed_in_the_middle_it_leaves_nothing(subprocess_env: dict[str, str], slug: str) -> None:
    """SIGKILL while the rows are on their way in through stdin."""
    told = story(slug)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "import_log", "-"],
        cwd=ROOT,
        env=subprocess_env,
        stdin=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(b"".join(map(spelt, (told.header, *told.events))))
        process.stdin.flush()
        until(lambda: _is_importing(process))
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate(timeout=10)

    assert is_absent(told)
    assert brought_in(told.file()).seq == 13


def _is_importing(process: "subprocess.Popen[bytes]") -> bool:
    """Whether the process has begun its transaction; on SQLite nobody else can by then."""
    assert process.poll() is None
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY events_event %%' "
                "AND datname = current_database()"
            )
            return bool(cursor.fetchone()[0])
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
        except Exception as error:  # noqa: BLE001 -- Django's, or the driver's
            return "locked" in str(error)
        finally:
            cursor.execute("PRAGMA busy_timeout = 30000")
        return False
