"""The log through the API: CloudEvents, filters, and walks that see each event once."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from events import timeline
from events.cloudevents import cloud_event
from events.models import Event
from tests.api.conftest import HEARTBEAT, Caller, People, body_of

ATTRIBUTES = [
    *("specversion", "id", "source", "type", "subject", "time", "datacontenttype"),
    *("dataschema", "schemaversion", "tenant", "seq", "streamversion", "recordedat", "actor"),
    *("origin", "correlationid", "hash", "data"),
]


def walk(caller: Caller, query: str = "", path: str = "/events") -> list[dict[str, Any]]:
    """Every event of a list, page by page, until `next` is null."""
    found: list[dict[str, Any]] = []
    after = ""
    for _ in range(200):
        page = body_of(caller.get(f"{path}?{query}{after}"))
        found += page["items"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"
    raise AssertionError("The walk has no end.")


def seqs(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["seq"]) for event in events]


def test_an_event_is_a_cloudevent_with_its_stored_data(alice: Caller) -> None:
    agent = alice.create(metadata={"a": 1.50})
    response = alice.get(f"/agents/{agent}/events")
    event = body_of(response)["items"][0]
    row = Event.objects.get(tenant=alice.tenant, event_id=event["id"])
    assert list(event) == ATTRIBUTES
    assert event["specversion"] == "1.0"
    assert event["source"] == f"/tenants/{alice.tenant}/agents/{agent}"
    assert (event["type"], event["subject"]) == ("AgentCreatedEvent", agent)
    assert (event["seq"], event["streamversion"]) == (str(row.seq), "1")
    assert event["dataschema"].endswith("/api/v1/schemas/AgentCreatedEvent/1.0")
    assert event["hash"] == bytes(row.hash).hex()
    assert row.data.encode() in response.content
    assert alice.get(f"/events/{event['id']}").content in response.content


def test_a_tenants_own_fact_has_no_subject(alice: Caller) -> None:
    event = body_of(alice.get("/events"))["items"][0]
    assert event["source"] == f"/tenants/{alice.tenant}"
    assert "subject" not in event


def test_only_admins_and_auditors_see_from_where(people: People) -> None:
    agent = people.bob.create()
    for caller, sees in [
        (people.alice, True),
        (people.carol, True),
        (people.bob, False),
        (people.agent(agent), False),
    ]:
        event = body_of(caller.get(f"/events?agent={agent}"))["items"][0]
        assert ("origin" in event) is sees
        assert ("origin" in body_of(caller.get(f"/events/{event['id']}"))) is sees


def test_an_older_schema_is_served_to_whoever_pins_it(bob: Caller) -> None:
    agent = bob.busy("t-1")
    body = {"execution_time_ms": 1, "usage": {"input_tokens": 1, "output_tokens": 2}}
    bob.made(bob.post(f"/agents/{agent}/tasks/t-1/complete", body))
    wanted = "types=AgentTaskCompletedEvent"
    newest = body_of(bob.get(f"/events?{wanted}"))["items"][0]
    pinned = body_of(bob.get(f"/events?{wanted}&schema=1.0"))["items"][0]
    stored = body_of(bob.get(f"/events?{wanted}&schema=stored"))["items"][0]
    assert stored == newest
    assert (newest["schemaversion"], pinned["schemaversion"]) == ("2.0", "1.0")
    assert "usage" in newest["data"]
    assert "usage" not in pinned["data"]
    assert pinned["dataschema"].endswith("/1.0")
    assert pinned["hash"] == newest["hash"]


def test_a_fact_of_a_newer_release_is_served_as_it_is_stored() -> None:
    row = Event(
        event_id=uuid.uuid4(),
        tenant_id="acme",
        seq=1,
        stream_type="agent",
        stream_id="a1",
        version=1,
        type="AgentDreamtEvent",
        schema_version="7.0",
        occurred_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        recorded_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        actor="system:x",
        data='{"x": 1}',
        hash=b"\0" * 32,
    )
    event = json.loads(cloud_event(row, schema=None, show_origin=True))
    assert (event["schemaversion"], event["data"]) == ("7.0", {"x": 1})
    assert event["time"] == "2026-01-02T03:04:05.000000Z"


@pytest.fixture
def history(bob: Caller) -> list[dict[str, Any]]:
    """A small log of two agents; the events, oldest first."""
    for agent in ("first-1", "second-1"):
        bob.available(agent)
        for _ in range(3):
            bob.made(bob.post(f"/agents/{agent}/heartbeat", HEARTBEAT))
        bob.made(bob.post(f"/agents/{agent}/pause", {"reason": "Größe"}, X_Correlation_Id="c-1"))
    return walk(bob)


class TestWalks:
    @pytest.mark.parametrize("limit", [1, 3, 1000])
    @pytest.mark.parametrize(
        "query", ["", "types=AgentHealth*", "agent=first-1", "agent=first-1,second-1", "q=first"]
    )
    def test_see_each_event_once_in_either_order(
        self,
        bob: Caller,
        history: list[dict[str, Any]],
        query: str,
        limit: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        whole = seqs(walk(bob, query))
        assert whole
        if not query:
            assert whole == list(range(1, len(history) + 1))
        for examined, window, chunk in [(10_000, 5_000, 250), (4, 2, 1), (5, 3, 2)]:
            monkeypatch.setattr(timeline, "EXAMINED", examined)
            monkeypatch.setattr(timeline, "WINDOW", window)
            monkeypatch.setattr(timeline, "CHUNK", chunk)
            assert seqs(walk(bob, f"limit={limit}&{query}")) == whole
            down = seqs(walk(bob, f"limit={limit}&order=desc&{query}"))
            assert down == whole[::-1]

    def test_say_how_far_they_came_when_nothing_fits(
        self, bob: Caller, history: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(timeline, "EXAMINED", 5)
        page = body_of(bob.get("/events?actor=user:nobody"))
        assert page == {"items": [], "next": 5, "head": len(history)}
        page = body_of(bob.get("/events?actor=user:nobody&order=desc"))
        assert page["next"] == len(history) - 4
        assert walk(bob, "actor=user:nobody") == []

    def test_of_one_agent_look_at_few_places_and_miss_none(
        self, bob: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent = bob.available()
        bob.made(bob.post(f"/agents/{agent}/pause", {"reason": "x"}))
        own = seqs(walk(bob, f"agent={agent}"))
        monkeypatch.setattr(timeline, "OF_ONE_AGENT", 2)

        page = body_of(bob.get(f"/events?limit=1&agent={agent}&types=AgentPausedEvent"))

        assert (page["items"], page["next"]) == ([], own[1])
        (found,) = walk(bob, f"limit=1&agent={agent}&types=AgentPausedEvent")
        assert found["type"] == "AgentPausedEvent"
        assert len(body_of(bob.get(f"/events?limit=3&agent={agent}"))["items"]) == 3

    def test_end_where_the_log_ends(self, bob: Caller, history: list[dict[str, Any]]) -> None:
        head = len(history)
        page = body_of(bob.get(f"/events?limit={head}"))
        assert (page["next"], page["head"]) == (None, head)
        assert body_of(bob.get(f"/events?after={head}"))["items"] == []
        assert body_of(bob.get(f"/events?after={2**63 - 1}"))["next"] is None
        assert body_of(bob.get("/events?after=0&order=desc")) == {
            "items": [],
            "next": None,
            "head": head,
        }

    def test_heavy_pages_are_short(
        self, bob: Caller, history: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(timeline, "MOST_BYTES", 1)
        page = body_of(bob.get("/events"))
        assert (len(page["items"]), page["next"]) == (1, 1)
        assert seqs(walk(bob)) == seqs(history)


FILTERS: list[tuple[str, Any]] = [
    ("types=AgentPausedEvent", lambda e: e["type"] == "AgentPausedEvent"),
    (
        "types=AgentPausedEvent,AgentHealth*",
        lambda e: e["type"].startswith(("AgentPaused", "AgentHealth")),
    ),
    ("types=agentpaused*", lambda _: False),
    ("types=Token*", lambda e: e["type"].startswith("Token")),
    ("types=NoSuchEvent", lambda _: False),
    ("types=*", lambda _: True),
    ("agent=first-1", lambda e: e.get("subject") == "first-1"),
    ("agent=first*", lambda e: e.get("subject") == "first-1"),
    ("agent=FIRST-1", lambda _: False),
    ("agent=first-1&types=AgentPausedEvent", lambda e: e["type"] == "AgentPausedEvent"
     and e["subject"] == "first-1"),
    ("agent=nobody", lambda _: False),
    ("actor=token:bob", lambda e: e["actor"] == "token:bob"),
    ("actor=token:*", lambda e: e["actor"].startswith("token:")),
    ("correlation=c-1", lambda e: e.get("correlationid") == "c-1"),
    ("q=GR%C3%96SSE", lambda e: "Größe" in json.dumps(e, ensure_ascii=False)),
    ("q=healthcheckpassed", lambda e: "HealthCheckPassed" in e["type"]),
    ("q=%25", lambda _: False),
]  # fmt: skip


@pytest.mark.parametrize(("query", "fits"), FILTERS, ids=[query for query, _ in FILTERS])
def test_a_filter_finds_what_fits_and_nothing_else(
    bob: Caller, history: list[dict[str, Any]], query: str, fits: Any
) -> None:
    expected = [event for event in history if fits(event)]
    assert walk(bob, query) == expected
    assert walk(bob, f"order=desc&{query}") == expected[::-1]


def test_since_is_inclusive_and_until_exclusive(bob: Caller, history: list[dict[str, Any]]) -> None:
    for middle in (history[4], history[-1]):
        moment = middle["recordedat"]
        later = [event for event in history if event["recordedat"] >= moment]
        assert walk(bob, f"since={moment}") == later
        assert walk(bob, f"until={moment}") == history[: len(history) - len(later)]
        assert walk(bob, f"since={moment}&until={moment}") == []
        for agent in ("first-1", "second-1"):
            own = [event for event in later if event.get("subject") == agent]
            assert walk(bob, f"agent={agent}&since={moment}") == own
    assert walk(bob, "until=2999-01-01T00:00:00Z&since=0001-01-01T00:00:00Z") == history


def test_a_query_is_all_filters_in_one_and_stands_alone(
    people: People, history: list[dict[str, Any]]
) -> None:
    expected = [e for e in history if e.get("subject") == "first-1" and "Health" not in e["type"]]

    assert walk(people.bob, "query=agent:first-1%20-type:AgentHealth*") == expected
    assert walk(people.agent("second-1"), "query=-type:AgentHealth*") == [
        event
        for event in history
        if event.get("subject") == "second-1" and "Health" not in event["type"]
    ]
    assert walk(people.agent("second-1"), "query=agent:first-1") == []
    for query, parameter in (
        ("query=typ:x", "query"),
        ("query=hours:", "query"),
        ("query=agent:first-1&types=Agent*", "types"),
    ):
        refused = people.bob.get(f"/events?{query}")
        assert (refused.status_code, body_of(refused)["errors"][0]["parameter"]) == (400, parameter)
    assert people.bob.get("/agents/first-1/events?query=x").status_code == 400


def test_one_agents_events_are_its_own(bob: Caller, history: list[dict[str, Any]]) -> None:
    own = [event for event in history if event.get("subject") == "second-1"]
    assert walk(bob, "limit=2", "/agents/second-1/events") == own
    assert walk(bob, "limit=2&order=desc", "/agents/second-1/events") == own[::-1]
    assert bob.get("/agents/second-1/events?agent=first-1").status_code == 400


def test_the_head_a_reader_knows_is_never_beyond_what_it_sees(
    bob: Caller, history: list[dict[str, Any]]
) -> None:
    response = bob.get("/events")
    assert response["AgentMesh-Seq"] == str(body_of(response)["head"]) == str(len(history))
    assert bob.get(f"/agents?min_seq={len(history)}").status_code == 200
    assert bob.get(f"/agents?min_seq={len(history) + 1}").status_code == 400
