"""The overview of what follows the log, and the relay as far as the database was told of it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from events import tenants
from events.worker import heartbeat
from projections.relay import notes
from projections.relay.models import RelayedLog, RelayLink
from tests.pages.conftest import SETUP, World, text_of
from tests.pages.html import what_the_policy_forbids

OVERVIEW = "integrations/"
RELAY = "integrations/relay/"
URL = "nats://relay-user:relay-password@broker.example:4222"


def main_of(response: Any) -> str:
    (main,) = re.findall(r"<main.*?</main>", text_of(response), re.DOTALL)
    return str(main)


@pytest.fixture
def relay_on(committed_db: None, settings: Settings) -> Iterator[None]:
    """With a broker, and nothing said of it yet."""
    settings.NATS_URLS = (URL,)
    RelayLink.objects.all().delete()
    yield
    RelayLink.objects.all().delete()


def relayed(world: World, seq: int, **more: Any) -> None:
    RelayedLog.objects.create(
        tenant_id=world.acme,
        seq=seq,
        hash=b"\1" * 32,
        stream_created="x",
        stream_seq=seq,
        updated_at=timezone.now(),
        **more,
    )


def test_everybody_who_oversees_the_tenant_finds_its_addresses(world: World) -> None:
    for person in (world.alice, world.bob, world.carol):
        page = person.get(world.page(OVERVIEW))
        main = main_of(page)
        assert f"/api/v1/tenants/{world.acme}/stream" in main
        assert "Bearer $AGENTMESH_TOKEN" in main
        for link in ("/api/v1/docs", "/api/v1/openapi.json", "/api/v1/asyncapi.json"):
            assert f'href="{link}"' in main
        assert what_the_policy_forbids(text_of(page)) == []
    assert world.mallory.get(world.page(OVERVIEW)).status_code == 404
    assert world.mallory.get(world.page(RELAY)).status_code == 404


def test_a_tenant_without_a_token_says_how_to_get_one(world: World) -> None:
    assert "an admin issues it" in main_of(world.carol.get(world.page(OVERVIEW)))
    assert world.page("tokens/issue/") in main_of(world.alice.get(world.page(OVERVIEW)))
    tenants.issue_token(world.acme, "ci", "operator", by=SETUP)

    assert "The tokens" in main_of(world.carol.get(world.page(OVERVIEW)))


@pytest.mark.parametrize(
    ("age", "words"),
    [(None, "never seen"), (3.2, "alive"), (95.0, "1 min 35 s")],
)
def test_whether_a_worker_lives_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, age: float | None, words: str
) -> None:
    monkeypatch.setattr(heartbeat, "age_seconds", lambda: age)

    assert words in main_of(world.carol.get(world.page(OVERVIEW)))


def test_more_agents_and_events_cost_no_more_queries(world: World) -> None:
    def asked(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            world.carol.get(world.page(path))
        assert not [
            each["sql"]
            for each in captured.captured_queries
            if "COUNT(" in each["sql"].upper() and "events_event" in each["sql"]
        ]
        return len(captured)

    asked(OVERVIEW)
    few = asked(OVERVIEW), asked(RELAY)
    for number in range(4):
        world.active_agent(f"agent-{number}")

    assert (asked(OVERVIEW), asked(RELAY)) == few
    assert few[0] <= 15
    assert few[1] <= 9


def test_a_relay_that_is_off_says_how_to_turn_it_on(world: World, settings: Settings) -> None:
    settings.NATS_URLS = ()

    main = main_of(world.carol.get(world.page(RELAY)))

    assert "The relay is off" in main
    assert "AGENTMESH_NATS_URL" in main
    assert "off" in main_of(world.carol.get(world.page(OVERVIEW)))


@pytest.mark.usefixtures("relay_on")
class TestOn:
    def test_before_any_worker_has_said_a_word(self, world: World) -> None:
        assert "nothing heard yet" in main_of(world.carol.get(world.page(RELAY)))

    def test_connected_with_how_far_it_is_and_without_a_login(self, world: World) -> None:
        world.active_agent()
        notes.connected("broker.example:4222")
        relayed(world, 1)

        page = world.carol.get(world.page(RELAY))

        main = main_of(page)
        assert "connected" in main
        assert "broker.example:4222" in main
        assert page.context["relay"].behind == page.context["relay"].head - 1 > 0
        assert "seq 1 of" in main
        for each in (text_of(page), text_of(world.alice.get(world.page(OVERVIEW)))):
            assert "relay-password" not in each
            assert "relay-user" not in each

    def test_what_went_wrong_is_told_until_it_is_well_again(self, world: World) -> None:
        notes.connected("broker.example:4222")
        RelayLink.objects.update(connected_at=timezone.now() - timedelta(minutes=5))
        notes.trouble("broker.example:4222: no answer")

        main = main_of(world.carol.get(world.page(RELAY)))
        assert "not connected" in main
        assert "no answer" in main

        notes.connected("broker.example:4222")
        assert "a relay is connected now" in main_of(world.carol.get(world.page(RELAY)))

    def test_trouble_from_the_start_is_no_connection(self, world: World) -> None:
        notes.trouble("broker.example:4222: refused")

        assert "not connected" in main_of(world.carol.get(world.page(RELAY)))

    def test_a_log_that_is_stopped_says_why_and_what_to_do(self, world: World) -> None:
        notes.connected("broker.example:4222")
        relayed(world, 33, stopped_reason="The log has become shorter.", stopped_at=timezone.now())

        main = main_of(world.carol.get(world.page(RELAY)))

        assert "stopped for this log" in main
        assert "The log has become shorter." in main
        assert f"resume_relay {world.acme}" in main
        assert "stopped for this log" in main_of(world.carol.get(world.page(OVERVIEW)))

    def test_another_tenants_log_is_not_told_of(self, world: World) -> None:
        relayed(world, 33, stopped_reason="Only acme's.", stopped_at=timezone.now())

        theirs = world.mallory.get(f"/admin/t/{world.globex}/{RELAY}")

        assert "Only acme" not in text_of(theirs)
        assert (theirs.context["relay"].seq, theirs.context["relay"].stopped_reason) == (0, None)
