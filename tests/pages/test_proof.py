"""Proof: how the log stands, verifying it, checkpoints, and a bundle to take along."""

import json
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from events import checkpoints
from events.log import read
from events.models import Duty, Event, SignedCheckpoint, Verification
from events.moments import rfc3339
from events.pages.proof import checkpoints as checkpoint_pages
from events.pages.proof import verifications
from events.verifications import asking
from events.verifications.turn import Turn
from tests.jobs.conftest import tampering
from tests.jobs.test_verify_log import change
from tests.pages.conftest import World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids
from tests.transfer.draft import SIGNER

PAGES = ["proof/", "proof/verifications/", "proof/checkpoints/", "proof/bundle/"]


@pytest.fixture(autouse=True)
def signing(settings: Settings) -> Settings:
    settings.PUBLIC_URL = "https://mesh.example.org"
    settings.SIGNING_KEY = SIGNER.private
    settings.VERIFICATION_KEYS = ()
    return settings


@pytest.fixture
def world(world: World) -> World:
    world.carol.get(world.page())  # before anything is counted, since she comes in by an event
    return world


def ask(world: World) -> Verification:
    response = world.carol.post(world.page("proof/verifications/"))
    assert response.status_code == 302, response.content
    return asking.of(world.acme)[0]


def work(world: World) -> None:
    """What a worker does."""
    going_on = asking.going_on(world.acme)
    assert going_on is not None
    assert Turn(going_on, lambda: False).run()


def worker_seen(seconds_ago: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Duty.objects.exclude(name="here").update(ran_at=None)
    Duty.objects.update_or_create(name="here", defaults={"ran_at": at, "next_at": at})


def head(world: World) -> int:
    found = read.head(world.acme)
    assert found is not None
    return found.seq


def file_of(response: Any) -> bytes:
    assert response.status_code == 200, text_of(response)
    chunks: Iterable[bytes] = response.streaming_content
    return b"".join(chunks)


def words(response: Any) -> str:
    """The page's words, without tags and breaks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", text_of(response)))


def test_a_log_that_nobody_has_verified_says_so(world: World) -> None:
    page = world.carol.get(world.page("proof/"))

    assert "Nobody has verified this log yet" in words(page)
    assert "none yet" in words(page)
    assert bytes(world.newest_event().hash).hex() in text_of(page)
    assert f"mesh.example.org+{SIGNER.key.id.hex()}" in text_of(page)


def test_verify_now_goes_on_in_the_background_and_says_what_came_of_it(world: World) -> None:
    worker_seen(seconds_ago=1)
    asked = ask(world)
    path = world.page(f"proof/verifications/{asked.pk}/")

    assert world.carol.post(world.page("proof/verifications/"))["Location"] == path
    for where in (path, world.page("proof/")):
        waiting = world.carol.get(where)
        assert "Waiting for the worker" in words(waiting)
        assert f'max="{asked.head}" value="0"' in text_of(waiting)
        assert "No worker runs" not in words(waiting)
        assert "Verify now" not in words(waiting)
    work(world)

    assert f"Every event up to seq {asked.head} is what was appended" in words(
        world.carol.get(path)
    )
    overview = words(world.carol.get(world.page("proof/")))
    assert f"The log is what was appended, up to seq {asked.head}" in overview
    assert "Nothing was recorded since" in overview
    assert f"asked for by user:{world.carol.username}" in overview
    world.create_agent()
    assert "1 event came since and was not verified yet" in words(
        world.carol.get(world.page("proof/"))
    )


def test_a_running_one_shows_how_far_it_is(world: World) -> None:
    worker_seen(seconds_ago=1)
    asked = ask(world)
    Verification.objects.filter(tenant=world.acme).update(
        status="running", seq=300_000, head=1_000_000
    )

    page = world.carol.get(world.page(f"proof/verifications/{asked.pk}/"))

    assert "Verifying: 300,000 of 1,000,000 events, 30 %" in words(page)
    assert '<progress id="progress" max="1000000" value="300000">' in text_of(page)


@pytest.mark.parametrize("seconds", [31, None])
def test_without_a_worker_the_page_says_that_nothing_happens(
    world: World, seconds: float | None
) -> None:
    if seconds is None:
        Duty.objects.update(ran_at=None)
    else:
        worker_seen(seconds_ago=seconds)
    ask(world)

    page = words(world.carol.get(world.page("proof/")))

    assert "No worker runs. It goes on as soon as one does" in page


def test_a_broken_chain_is_shown_as_broken_with_the_place_and_the_event(world: World) -> None:
    world.active_agent()
    asked = ask(world)
    bad = Event.objects.get(tenant=world.acme, seq=2)
    with tampering() as cursor:
        change(cursor, world.acme, 2, "reason = 'another'")
        work(world)

        overview = world.carol.get(world.page("proof/"))
        detail = world.carol.get(world.page(f"proof/verifications/{asked.pk}/"))
        listed = world.carol.get(world.page("proof/verifications/"))

    assert "The log is not what was appended, from seq 2 on" in words(overview)
    assert "The first bad seq is 2" in words(detail)
    for page in (overview, detail):
        assert "its hash does not follow" in words(page)
        assert f'href="{world.page(f"events/{bad.event_id}/")}"' in text_of(page)
    assert "damaged its hash does not follow" in words(listed)
    assert not SignedCheckpoint.objects.filter(tenant=world.acme).exists()


def test_an_event_that_is_missing_has_no_link(world: World) -> None:
    ask(world)
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_event WHERE tenant_id = %s AND seq = 2", [world.acme])
        work(world)
        page = world.carol.get(world.page("proof/"))

    assert "Nothing that can be shown stands at seq 2" in words(page)


def test_a_verification_that_passes_leaves_a_signed_checkpoint(world: World) -> None:
    ask(world)
    work(world)

    page = world.carol.get(world.page("proof/checkpoints/"))
    (kept,) = page.context["checkpoints"]
    note = world.carol.get(world.page(f"proof/checkpoints/{kept.row.pk}/"))

    assert kept.row.seq == head(world)
    assert kept.key == SIGNER.key
    assert note["Content-Disposition"] == (
        f'attachment; filename="{world.acme}-{kept.row.seq}.checkpoint.txt"'
    )
    (read_back,) = checkpoints.read(text_of(note), [SIGNER.key])
    assert read_back.seq == kept.row.seq


def test_without_a_key_a_verification_passes_all_the_same(world: World, signing: Settings) -> None:
    signing.SIGNING_KEY = None
    ask(world)
    work(world)

    assert "what was appended" in words(world.carol.get(world.page("proof/")))
    assert "There is no key to sign with" in words(
        world.carol.get(world.page("proof/checkpoints/"))
    )
    refused = world.carol.client.post(world.page("proof/checkpoints/"), follow=True)
    assert "Set AGENTMESH_SIGNING_KEY" in words(refused)


def test_a_checkpoint_is_made_at_once_where_little_came(world: World) -> None:
    page = world.carol.client.post(world.page("proof/checkpoints/"), follow=True)

    assert f"The log up to seq {head(world)} is signed" in words(page)
    assert [each.row.seq for each in page.context["checkpoints"]] == [head(world)]


def test_a_checkpoint_of_much_comes_at_the_end_of_a_verification(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_pages, "AT_ONCE", 1)

    page = world.carol.client.post(world.page("proof/checkpoints/"), follow=True)

    assert page.redirect_chain[0][0].startswith(world.page("proof/verifications/"))
    assert "the checkpoint is made at its end" in words(page)
    assert not SignedCheckpoint.objects.filter(tenant=world.acme).exists()
    work(world)
    assert SignedCheckpoint.objects.get(tenant=world.acme).seq == head(world)


def test_a_broken_chain_is_not_signed(world: World) -> None:
    with tampering() as cursor:
        change(cursor, world.acme, 2, "reason = 'another'")
        page = world.carol.client.post(world.page("proof/checkpoints/"), follow=True)

    assert "Nothing was signed: seq 2" in words(page)


def test_a_note_that_was_changed_is_shown_as_such(world: World) -> None:
    note = checkpoints.take(world.acme)
    others = [note.replace("\nlog_id", "A\nlog_id"), note.replace("2026", "2027"), "nonsense"]
    for number, text in enumerate(others):
        SignedCheckpoint.objects.create(tenant_id=world.acme, seq=number, note=text)

    page = world.carol.get(world.page("proof/checkpoints/"))

    assert [each.is_forged for each in page.context["checkpoints"]] == [False, True, True, True]
    assert words(page).count("does not fit The note was changed.") == 3


def test_verifications_and_checkpoints_come_in_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifications, "PAGE", 2)
    monkeypatch.setattr(checkpoint_pages, "PAGE", 2)
    at = timezone.now()
    for number in range(5):
        Verification.objects.create(
            tenant_id=world.acme, status="passed", head=1, requested_by="user:x", requested_at=at
        )
        SignedCheckpoint.objects.create(tenant_id=world.acme, seq=7, note=f"note {number}")

    for rest, named in (("verifications", "verifications"), ("checkpoints", "checkpoints")):
        path, seen, sizes = world.page(f"proof/{rest}/"), [], []
        query: str | None = ""
        while query is not None:
            context = world.carol.get(path + query).context
            sizes.append(len(context[named]))
            seen += [each.row.pk for each in context[named]]
            query = context["older"]
        assert (len(set(seen)), sizes) == (5, [2, 2, 1])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_costs_as_many_queries_however_much_there_is(world: World, page: str) -> None:
    ask(world)
    work(world)
    world.carol.get(world.page(page))
    with CaptureQueriesContext(connection) as few:
        world.carol.get(world.page(page))
    for number in range(3):
        world.create_agent(f"agent-{number}")
        checkpoints.take(world.acme)
        ask(world)
        work(world)
    with CaptureQueriesContext(connection) as many:
        world.carol.get(world.page(page))

    assert len(few) == len(many) <= 14
    assert not [each for each in many.captured_queries if "COUNT(" in each["sql"]]


def test_a_bundle_is_downloaded_recorded_and_verified_by_itself(
    world: World, tmp_path: Path
) -> None:
    world.active_agent()
    before = head(world)

    response = world.carol.post(world.page("proof/bundle/"))
    recorded = world.newest_event()
    (tmp_path / "acme.zip").write_bytes(file_of(response))

    assert response["Content-Disposition"] == (
        f'attachment; filename="{world.acme}-1-{before}.audit.zip"'
    )
    assert (recorded.type, recorded.seq) == ("LogExported", before + 1)
    assert recorded.actor == f"user:{world.carol.username}"
    with zipfile.ZipFile(tmp_path / "acme.zip") as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "verify.py", "--key", str(SIGNER.key)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f'Taken by "user:{world.carol.username}"' in done.stdout
    assert f"OK: {world.acme}, all {before} events" in done.stdout


def test_filters_of_a_bundle_are_those_of_the_timeline(world: World) -> None:
    world.active_agent("agent-1")
    world.active_agent("agent-2")
    first = Event.objects.get(tenant=world.acme, seq=1).recorded_at
    asked = {
        "agent": "agent-2",
        "types": "Agent*",
        "actor": "system:*",
        "q": "AGENT-2",
        "since": rfc3339(first),
        "from_seq": "2",
        "to_seq": str(head(world)),
    }

    file = file_of(world.carol.post(world.page("proof/bundle/"), **asked))

    with zipfile.ZipFile(BytesIO(file)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        lines = archive.read("events.jsonl").splitlines()[1:-1]
    assert manifest["query"] == asked
    assert {json.loads(line)["stream_id"] for line in lines} == {"agent-2"}
    assert len(lines) == manifest["events"] == 3
    told = json.loads(world.newest_event().data)
    assert told["filters"] == {name: asked[name] for name in asked if not name.endswith("_seq")}


def test_the_address_fills_the_form_in(world: World) -> None:
    page = world.carol.get(
        world.page("proof/bundle/"),
        types="AgentTask*",
        agent="a-1",
        since="2026-05-04T12:00:00Z",
        from_seq=7,
        until="nonsense",
    )

    text = text_of(page)
    for value in ("AgentTask*", "a-1", "2026-05-04T12:00", "7"):
        assert f'value="{value}"' in text
    assert 'value="nonsense"' not in text


MISTYPED: list[tuple[dict[str, str], str]] = [
    ({"from_seq": "9999"}, "has events 1 to"),
    ({"to_seq": "9999"}, "has events 1 to"),
    ({"from_seq": "3", "to_seq": "2"}, "It lies before the beginning."),
    ({"from_seq": "x"}, "Enter a whole number."),
    ({"from_seq": "9" * 5_000}, "Enter a whole number."),
    ({"to_seq": str(2**63)}, "less than or equal to"),
    ({"to_seq": "0"}, "greater than or equal to 1"),
    ({"agent": "a*b"}, "may have a * only at the end"),
    ({"types": ","}, "must have something between its commas"),
    ({"actor": "\0"}, "Null characters are not allowed."),
    ({"q": "x" * 1_001}, "at most 1000 characters"),
    ({"since": "yesterday"}, "Enter a valid date/time."),
    ({"since": "2026-02-01T00:00", "until": "2026-01-01T00:00"}, "before the beginning"),
    ({"since": "0001-01-01T00:00+14:00"}, "must lie within"),
]


def test_a_bundle_of_what_cannot_be_meant_is_refused_beside_its_field(world: World) -> None:
    before = head(world)
    for asked, said in MISTYPED:
        page = world.carol.post(world.page("proof/bundle/"), **asked, correlation="kept")

        assert page.status_code == 400, asked
        assert said in words(page), asked
        assert 'value="kept"' in text_of(page)
    assert head(world) == before


def test_a_bundle_of_a_damaged_log_is_refused(world: World) -> None:
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_event WHERE tenant_id = %s AND seq = 2", [world.acme])
        page = world.carol.post(world.page("proof/bundle/"), to_seq="2")

    assert page.status_code == 409
    assert "The log is damaged at seq 2" in words(page)


def test_without_a_key_there_is_no_bundle_and_the_page_says_why(
    world: World, signing: Settings
) -> None:
    signing.SIGNING_KEY = None
    before = head(world)

    assert "without one there is no bundle" in words(world.carol.get(world.page("proof/bundle/")))
    page = world.carol.post(world.page("proof/bundle/"))

    assert page.status_code == 503
    assert "There is no key to sign with." in words(page)
    assert head(world) == before


def test_copies_are_limited_with_those_of_the_api(world: World, settings: Settings) -> None:
    cache.clear()
    settings.RATE_LIMITS = {"export": "1/minute"}
    file_of(world.carol.post(world.page("proof/bundle/")))
    before = head(world)

    page = world.carol.post(world.page("proof/bundle/"))

    assert page.status_code == 429
    assert 0 < int(page["Retry-After"]) <= 60
    assert "You took many copies." in words(page)
    assert world.carol.client.get(f"/api/v1/tenants/{world.acme}/export").status_code == 429
    assert head(world) == before


def test_an_operator_reads_proof_and_is_offered_and_allowed_no_more(world: World) -> None:
    ask(world)
    asked = asking.of(world.acme)[0]
    for page in ("proof/", "proof/verifications/", "proof/checkpoints/"):
        response = world.bob.get(world.page(page))
        assert response.status_code == 200
        assert "Verify now" not in words(response)
        assert "Make a checkpoint" not in words(response)
        assert "bundle" not in text_of(response).replace("bundles", "")
    assert world.bob.get(world.page(f"proof/verifications/{asked.pk}/")).status_code == 200

    for page in ("proof/verifications/", "proof/checkpoints/", "proof/bundle/"):
        assert world.bob.post(world.page(page)).status_code == 403
    assert world.bob.get(world.page("proof/bundle/")).status_code == 403
    assert world.event_types()[-4:].count("AccessDenied") >= 3


def test_mallory_sees_of_proof_what_she_would_see_if_there_were_none(world: World) -> None:
    checkpoints.take(world.acme)
    number = SignedCheckpoint.objects.get(tenant=world.acme).pk
    asked = ask(world)
    absent = world.mallory.get("/admin/t/absent/proof/")

    for rest in (*PAGES, f"proof/verifications/{asked.pk}/", f"proof/checkpoints/{number}/"):
        theirs = world.mallory.get(world.page(rest))
        assert (theirs.status_code, theirs.content) == (404, absent.content)
    for rest in PAGES[1:]:
        assert world.mallory.post(world.page(rest)).status_code == 404
    own = f"/admin/t/{world.globex}/proof"
    for rest in (f"verifications/{asked.pk}/", f"checkpoints/{number}/"):
        assert world.mallory.get(f"{own}/{rest}").status_code == 404


def test_what_nothing_could_be_named_is_not_found(world: World) -> None:
    for rest in (
        f"proof/verifications/{uuid.uuid4()}/",
        "proof/verifications/1/",
        "proof/checkpoints/0/",
        f"proof/checkpoints/{2**63}/",
        f"proof/checkpoints/{'9' * 5_000}/",
        "proof/checkpoints/-1/",
        "proof/nothing/",
    ):
        assert world.carol.get(world.page(rest)).status_code == 404, rest


@pytest.mark.parametrize("page", PAGES)
def test_pages_of_proof_keep_to_the_policy_and_label_every_field(world: World, page: str) -> None:
    checkpoints.take(world.acme)
    ask(world)

    text = text_of(world.carol.get(world.page(page)))

    assert what_the_policy_forbids(text) == []
    assert fields_without_label(text) == []
