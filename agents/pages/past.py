"""What the time machine shows: an agent at a version, what that version changed, what differs from
another one, and where the status changed before and after. Each costs the same however long the
history is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from agents import history
from agents.current import STREAM, AgentNotFound
from agents.diff import Difference, diff, differences
from agents.domain.evolve import evolve
from agents.domain.state import Agent
from agents.history import Point
from events.log import read
from events.log.read import Recorded
from events.models import Event
from events.moments import parse_rfc3339
from events.pages import wording
from events.phrases import one_line
from events.vocabulary import AgentStatusChangedEvent

EXPLAINED = 1_000  # of two versions that far apart or less each change is told with its event
LOOKED_AT = 2_000  # versions, in search of a change of status
LONGEST_VALUE = 500  # characters
STATUS_CHANGED = AgentStatusChangedEvent.wire_type()
_MOMENTS = {"/last_seen", "/created_at", "/activated_at", "/paused_until", "/terminated_at"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two values of a path: a moment, or text; neither where there was nothing."""

    moment: datetime | None = None
    text: str = ""
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One path that differs. event: the one behind it, None where that lies too far back."""

    path: str
    old: Side
    new: Side
    event: Recorded | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An agent at one version, and what its event changed. changed: the names of its values."""

    version: int
    event: Event
    sentence: str
    agent: Agent
    rows: list[Row]

    @property
    def changed(self) -> set[str]:
        return {row.path.split("/")[1] for row in self.rows}

    @property
    def before(self) -> int:
        return self.version - 1

    @property
    def only_tells(self) -> bool:
        """Whether it is the fact that tells of a status which the event before has changed."""
        return self.event.type == STATUS_CHANGED


@dataclass(frozen=True, slots=True)
class Compared:
    """old is the lower version. explained: whether each row has its event."""

    old: int
    new: int
    rows: list[Row]

    @property
    def unexplained(self) -> int:
        return sum(row.event is None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Sought:
    """version: of the change of status; None where none lies on the way to `looked_to`."""

    version: int | None
    looked_to: int


def at_version(tenant: str, agent_id: str, version: int) -> Shown:
    """The version exists."""
    event = Event.objects.get(
        tenant=tenant, stream_type=STREAM, stream_id=agent_id, version=version
    )
    try:
        was = history.agent_at_seq(tenant, agent_id, event.seq - 1).agent
    except AgentNotFound:
        was = None
    agent = evolve(was, read.fact(event))  # type: ignore[arg-type]  # of an agent's stream
    rows = [_row(each) for each in differences(was, agent)]
    return Shown(version, event, wording.sentence(event) or event.type, agent, rows)


def compare(tenant: str, agent_id: str, one: int, other: int) -> Compared:
    """Both versions exist."""
    low, high = sorted((one, other))
    found = diff(tenant, agent_id, Point(version=low), Point(version=high), most=EXPLAINED)
    rows = [_row(change, change.event) for change in found.changes]
    return Compared(low, high, rows + [_row(each) for each in found.older])


def next_status(tenant: str, agent_id: str, version: int, newest: int) -> Sought:
    """The first change of status after a version."""
    last = min(version + LOOKED_AT, newest)
    found = _status_changes(tenant, agent_id).filter(version__gt=version, version__lte=last)
    return Sought(found.order_by("version").values_list("version", flat=True).first(), last)


def previous_status(tenant: str, agent_id: str, version: int) -> Sought:
    """The last change of status before a version."""
    last = max(version - LOOKED_AT, 1)
    found = _status_changes(tenant, agent_id).filter(version__lt=version, version__gte=last)
    return Sought(found.order_by("-version").values_list("version", flat=True).first(), last)


def _status_changes(tenant: str, agent_id: str) -> Any:
    return Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id=agent_id, type=STATUS_CHANGED
    )


def _row(difference: Difference, event: Recorded | None = None) -> Row:
    path = difference.path
    old = Side() if difference.op == "add" else _side(path, difference.old)
    new = Side() if difference.op == "remove" else _side(path, difference.new)
    return Row(path, old, new, event)


def _side(path: str, value: Any) -> Side:
    if value is None or value in ("", [], {}):
        return Side()
    if path in _MOMENTS:
        return Side(moment=parse_rfc3339(value))
    if isinstance(value, str):
        return Side(text=one_line(value, LONGEST_VALUE))
    text = msgspec.json.encode(value).decode()
    return Side(text=one_line(text, LONGEST_VALUE), is_code=True)
