"""What a client asks for: which events, in which schema version, and from where on."""

from dataclasses import dataclass

from events.api.problem import invalid_header, invalid_parameter, not_found
from events.api.query import Query
from events.cloudevents import AGENT_STREAM, UnknownSchema, check_schema
from events.models import Event
from events.patterns import Pattern
from projections.stream.positions import Claim, MalformedId, parse_id

PARAMETERS = ("after", "agent", "lastEventId", "schema", "types")
HEADER = "Last-Event-ID"
_ID = "must be an id that this stream has sent (<seq>-<8 hex digits>), a bare seq, or 0."


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a client wants, and may have: `only` is the one agent that it may see."""

    types: Pattern | None = None
    agents: Pattern | None = None
    only: str | None = None

    @property
    def wants_all(self) -> bool:
        return self.types is None and self.agents is None and self.only is None

    def wants(self, row: Event) -> bool:
        if self.types is not None and not self.types.fits(row.type):
            return False
        if self.agents is None and self.only is None:
            return True
        return (
            row.stream_type == AGENT_STREAM
            and self.only in (None, row.stream_id)
            and (self.agents is None or self.agents.fits(row.stream_id))
        )


@dataclass(frozen=True, slots=True)
class Wishes:
    """schema: as `cloud_event` takes it. start: None is the head of the log."""

    filter: Filter
    schema: str | None
    start: Claim | None


def read_wishes(query: Query, last_event_id: str, *, only: str | None) -> Wishes:
    """The wishes of a request; `last_event_id` is its header, or empty. Raises Problem."""
    agents = query.pattern("agent")
    if only is not None and agents is not None and not agents.fits(only):
        raise not_found()
    return Wishes(
        Filter(query.pattern("types"), agents, only),
        _schema(query.text("schema")),
        _start(last_event_id, query),
    )


def _start(last_event_id: str, query: Query) -> Claim | None:
    """The header first: a browser that reconnects sends it beside the URL it began with."""
    given: list[Claim] = []
    if last_event_id:
        try:
            given.append(parse_id(last_event_id))
        except MalformedId:
            raise invalid_header(HEADER, _ID) from None
    for name in ("lastEventId", "after"):
        text = query.text(name)
        if text is not None:
            try:
                given.append(parse_id(text))
            except MalformedId:
                raise invalid_parameter(name, _ID) from None
    return given[0] if given else None


def _schema(text: str | None) -> str | None:
    try:
        check_schema(text)
    except UnknownSchema as error:
        raise invalid_parameter("schema", str(error)) from None
    return text
