"""A difference leads from the agent at one point to the agent at another, and names who did it."""

import copy
import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from agents import services
from agents.api.representation import agent_json
from agents.current import AgentNotFound
from agents.diff import Backwards, Change, diff
from agents.domain.evolve import evolve
from agents.domain.state import Agent
from agents.history import Point, VersionNotReached
from agents.models import AgentState
from events.log import read
from events.models import Event
from events.registry import decoder
from tests.services.conftest import ALICE, create
from tests.services.past import bulk, live

ABSENT = object()


def document(agent: Agent | None) -> dict[str, Any]:
    """The agent as JSON, with its capabilities by name; {} for none."""
    if agent is None:
        return {}
    found = agent_json(agent, 0, 0)
    del found["version"], found["seq"]
    found["capabilities"] = {each["name"]: each for each in found["capabilities"]}
    copied: dict[str, Any] = copy.deepcopy(found)
    return copied


def at(value: Any, path: str) -> Any:
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value.get(key, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def text(value: Any) -> object:
    return value if value is ABSENT else msgspec.json.encode(value, order="sorted")


def patched(before: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """The document with the changes applied, as RFC 6902 has it."""
    for change in changes:
        *parents, last = change.path.split("/")[1:]
        place = before
        for part in parents:
            place = place[part.replace("~1", "/").replace("~0", "~")]
        key = last.replace("~1", "/").replace("~0", "~")
        assert (key in place) == (change.op != "add")
        assert text(place.get(key)) == text(change.old)
        if change.op == "remove":
            del place[key]
        else:
            place[key] = change.new
    return before


def told(tenant: str, agent_id: str) -> list[tuple[Agent | None, Event | None]]:
    """At place n the agent at version n, and the event that made it so."""
    found: list[tuple[Agent | None, Event | None]] = [(None, None)]
    events = Event.objects.filter(tenant=tenant, stream_type="agent", stream_id=agent_id)
    for event in events.order_by("version"):
        fact: Any = decoder(event.type, event.schema_version)(event.data)
        found.append((evolve(found[-1][0], fact), event))
    return found


@pytest.mark.parametrize("dropped", [False, True])
def test_the_changes_lead_from_one_agent_to_the_other_and_name_the_last_event_of_each(
    acme: str, dropped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(dropped)
    live(acme, chance, 100)
    past = told(acme, "aaa")
    documents = [document(agent) for agent, _ in past]
    if dropped:
        AgentState.objects.filter(tenant=acme).delete()
        monkeypatch.setattr(read, "CHUNK", 5)

    for _ in range(20):
        start, end = sorted(chance.sample(range(len(past)), 2))
        found = diff(acme, "aaa", Point(version=start), Point(version=end))

        assert text(patched(document(past[start][0]), found.changes)) == text(documents[end])
        for change in found.changes:
            values = [text(at(each, change.path)) for each in documents]
            last = max(n for n in range(start + 1, end + 1) if values[n] != values[n - 1])
            event = past[last][1]
            assert event is not None
            assert (change.event.event_id, change.event.version) == (event.event_id, last)
            assert (change.event.seq, change.event.actor) == (event.seq, "user:alice")
            assert (change.event.type, change.event.reason) == (event.type, event.reason)
            assert change.event.recorded_at == event.recorded_at


def changes(tenant: str, agent_id: str, start: int, end: int) -> list[tuple[str, str, Any, Any]]:
    found = diff(tenant, agent_id, Point(version=start), Point(version=end))
    return [(each.op, each.path, each.old, each.new) for each in found.changes]


def test_what_changed_and_changed_back_is_no_difference(acme: str, a1: str) -> None:
    for reason in ("lunch", "tea"):
        services.pause_agent(tenant=acme, agent_id=a1, reason=reason, by=ALICE)
        services.resume_agent(tenant=acme, agent_id=a1, by=ALICE)

    assert changes(acme, a1, 3, 11) == []
    assert changes(acme, a1, 3, 7) == []
    assert changes(acme, a1, 3, 5) == [
        ("replace", "/status", "AVAILABLE", "PAUSED"),
        ("replace", "/intent", "active", "paused"),
        ("replace", "/pause_reason", None, "lunch"),
    ]
    assert changes(acme, a1, 3, 3) == []


def test_capabilities_are_addressed_by_name_and_metadata_by_key(acme: str, a1: str) -> None:
    to: Any = {"tenant": acme, "agent_id": a1, "by": ALICE}
    services.update_agent(metadata={"a/b": 1, "~": {"x": None}, "list": [1, 2], "gone": 1}, **to)
    services.add_capability(name="sum", proficiency_level=1, **to)
    services.upgrade_capability(name="translate", proficiency_level=5, **to)
    services.update_agent(metadata={"a/b": 1.0, "~": {"x": 0, "y": None}, "list": [2, 1]}, **to)

    assert changes(acme, a1, 4, 7) == [
        ("replace", "/capabilities/translate/proficiency_level", 2, 5),
        ("add", "/capabilities/sum", None, {"name": "sum", "proficiency_level": 1}),
        ("replace", "/metadata/a~1b", 1, 1.0),
        ("replace", "/metadata/~0/x", None, 0),
        ("add", "/metadata/~0/y", None, None),
        ("replace", "/metadata/list", [1, 2], [2, 1]),
        ("remove", "/metadata/gone", 1, None),
    ]


def test_before_its_creation_there_was_nothing_and_all_is_added(acme: str, a1: str) -> None:
    found = diff(acme, a1, Point(version=0), Point(version=1))

    assert found.start is None
    assert {each.op for each in found.changes} == {"add"}
    assert {each.event.version for each in found.changes} == {1}
    assert "/name" in [each.path for each in found.changes]


def test_points_are_versions_seqs_or_moments(acme: str, a1: str) -> None:
    create(acme, "a-2")
    bulk(acme, {a1: 20})
    events = list(Event.objects.filter(tenant=acme, stream_id=a1).order_by("version"))
    by_version = diff(acme, a1, Point(version=1), Point(version=3))

    for start, end in (
        (Point(seq=events[0].seq), Point(seq=events[2].seq)),
        (Point(at=events[0].recorded_at), Point(seq=events[3].seq - 1)),
        (Point(version=1), Point(at=events[3].recorded_at - timedelta(microseconds=1))),
    ):
        assert diff(acme, a1, start, end) == by_version


def test_a_range_that_ends_before_it_begins_is_refused(acme: str, a1: str) -> None:
    with pytest.raises(Backwards, match="version 3, after its end, 2"):
        diff(acme, a1, Point(version=3), Point(version=2))


def test_what_is_not_there_is_not_found(acme: str, a1: str, globex: str) -> None:
    with pytest.raises(VersionNotReached):
        diff(acme, a1, Point(version=1), Point(version=4))
    for tenant, agent_id, end in ((globex, a1, 3), (acme, "nobody", 3), (acme, a1, 0)):
        with pytest.raises(AgentNotFound):
            diff(tenant, agent_id, Point(version=0), Point(seq=end))


def test_a_look_back_that_is_bounded_tells_what_lies_further_back_without_its_event(
    acme: str,
) -> None:
    live(acme, random.Random(7))
    end = len(told(acme, "aaa")) - 1
    whole = diff(acme, "aaa", Point(version=2), Point(version=end))
    assert whole.older == []

    bounded = diff(acme, "aaa", Point(version=2), Point(version=end), most=40)

    recent = [each for each in whole.changes if each.event.version > end - 40]
    longer_ago = [each.path for each in whole.changes if each.event.version <= end - 40]
    assert recent
    assert longer_ago
    assert bounded.changes == recent
    assert [each.path for each in bounded.older] == longer_ago
    assert (bounded.start, bounded.end) == (whole.start, whole.end)
