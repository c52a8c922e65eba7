"""What is different about an agent between two points of its history, and which event made it so.

The difference is net: what changed and changed back is not in it. Paths are JSON Pointers (RFC
6901) into the agent as the API shows it, but for two things:

    capabilities are addressed by name     /capabilities/translate/proficiency_level
    an array is one value                  /tags

Where one side has no such path (a capability, a key of the metadata) the change is an `add` or a
`remove`, as in JSON Patch (RFC 6902). version and seq differ by themselves and are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from agents import history
from agents.api.representation import agent_json
from agents.current import STREAM, AgentNotFound, Loaded
from agents.domain.evolve import evolve
from agents.domain.state import Agent
from agents.history import Point
from events.log import read
from events.log.read import Recorded

_Path = tuple[str, ...]
_NOTHING: Any = object()  # what a side has where it has no such path; null is a value
# As JSON, since to Python 1, 1.0 and True are all the same.
_text_of = msgspec.json.Encoder(order="deterministic").encode


class Backwards(ValueError):
    """The range ends before it begins."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(f"begins at version {start}, after its end, {end}. Swap the two.")


@dataclass(frozen=True, slots=True)
class Difference:
    """One path. old, new: JSON values; None, too, where an add or a remove has none."""

    op: Literal["add", "remove", "replace"]
    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change(Difference):
    """event: the last of the range that changed the value, or a part of it."""

    event: Recorded


@dataclass(frozen=True, slots=True)
class Diff:
    """start: None when the range begins before the agent was created.

    older: what was last changed by an event that lies further back than was looked.
    """

    start: Loaded | None
    end: Loaded
    changes: list[Change]
    older: list[Difference]


def differences(was: Agent | None, became: Agent) -> list[Difference]:
    """What is different about an agent, without the events: a pure function of both."""
    found = _differing(_values(was), _values(became))
    return [Difference(*_sides(path, *sides)) for path, sides in found]


def diff(tenant: str, agent_id: str, start: Point, end: Point, *, most: int | None = None) -> Diff:
    """What the events after `start`, up to and including `end`, have changed about the agent.

    A start at version 0, or at a time before the agent's creation, makes every value an addition.
    Costs two agents of the past and the events between, read one after another; with `most` only
    the last so many of these are read, and one agent more. Raises AgentNotFound when the agent was
    not there at `end`, VersionNotReached, and Backwards.
    """
    became = history.agent_at_seq(tenant, agent_id, history.seq_at(tenant, agent_id, end))
    start_seq = history.seq_at(tenant, agent_id, start)
    try:
        was = history.agent_at_seq(tenant, agent_id, start_seq)
    except AgentNotFound:
        was = None
    begin = was.version if was else 0
    if begin > became.version:
        raise Backwards(begin, became.version)
    agent = was.agent if was else None
    found = dict(_differing(_values(agent), _values(became.agent)))
    if most is not None and became.version - begin > most:
        begin = became.version - most
        agent = history.agent_at(tenant, agent_id, Point(version=begin)).agent
    between = read.recorded(
        tenant, STREAM, agent_id, after_version=begin, to_version=became.version
    )
    events = _last_changes(agent, between, found)
    changes, older = [], []
    for path, sides in found.items():
        told = _sides(path, *sides)
        if path in events:
            changes.append(Change(*told, events[path]))
        else:
            older.append(Difference(*told))
    return Diff(was, became, changes, older)


def _values(agent: Agent | None) -> dict[str, Any]:
    """The agent as its paths see it."""
    if agent is None:
        return {}
    values = agent_json(agent, 0, None)
    del values["version"], values["seq"]
    return values | {"capabilities": _value(agent, "capabilities")}


def _value(agent: Agent | None, name: str) -> Any:
    """One of the agent's values, with moments as moments: as good to compare by."""
    if name == "capabilities" and agent is not None:
        return {each.name: msgspec.to_builtins(each) for each in agent.capabilities}
    return getattr(agent, name, _NOTHING)


def _differing(old: Any, new: Any, path: _Path = ()) -> Iterator[tuple[_Path, tuple[Any, Any]]]:
    """Every path whose values differ, as far down as both sides are objects."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            sides = old.get(key, _NOTHING), new.get(key, _NOTHING)
            yield from _differing(*sides, (*path, key))
    elif not _same(old, new):
        yield path, (old, new)


def _same(old: Any, new: Any) -> bool:
    if old is _NOTHING or new is _NOTHING:
        return old is new
    return _text_of(old) == _text_of(new)


def _last_changes(
    agent: Agent | None, between: Iterable[Recorded], paths: Iterable[_Path]
) -> Mapping[_Path, Recorded]:
    """For each path the last event that changed what is there."""
    by_name: dict[str, list[_Path]] = {}
    for path in paths:
        by_name.setdefault(path[0], []).append(path)
    found: dict[_Path, Recorded] = {}
    for event in between:
        before, agent = agent, evolve(agent, event.fact)  # type: ignore[arg-type]
        for name, ways in by_name.items():
            # Most events leave most values as they are, the very same objects.
            if getattr(before, name, _NOTHING) is getattr(agent, name):
                continue
            old, new = _value(before, name), _value(agent, name)
            for path in ways:
                if not _same(_at(old, path[1:]), _at(new, path[1:])):
                    found[path] = event
    return found


def _at(value: Any, path: _Path) -> Any:
    for key in path:
        value = value.get(key, _NOTHING) if isinstance(value, dict) else _NOTHING
    return value


def _sides(
    path: _Path, old: Any, new: Any
) -> tuple[Literal["add", "remove", "replace"], str, Any, Any]:
    """op, path, old and new as a difference has them."""
    pointer = "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in path)
    if old is _NOTHING:
        return "add", pointer, None, new
    if new is _NOTHING:
        return "remove", pointer, old, None
    return "replace", pointer, old, new
