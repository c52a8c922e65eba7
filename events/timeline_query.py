"""A query as it was typed, and what it asks of the log at a moment, in a place.

Moments without an offset are read in the zone of who asks; the hours of work are the tenant's, the
same for everybody in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from events import registry
from events.models import Tenant
from events.moments import parse_rfc3339, rfc3339
from events.patterns import Pattern
from events.query_language import Hours, Query, When, parse
from events.query_language.query import Name, Names
from events.wanted import OffHours, Wanted, Without
from events.zones import is_zone


def parsed(text: str) -> Query:
    """A query of the types that there are. Raises BadQuery."""
    return parse(text, registry.types())


def asked_of(tenant: str, query: Query, now: datetime, zone: tzinfo = UTC) -> "Asked":
    """The query as somebody in the tenant asks it now, whose clock is the zone's."""
    return Asked(query, now, zone, _zone_of(tenant) if query.hours else UTC)


def _zone_of(tenant: str) -> tzinfo:
    named = Tenant.objects.filter(slug=tenant).values_list("time_zone", flat=True).first() or ""
    return ZoneInfo(named) if is_zone(named) else UTC  # where this machine does not know it


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and what it depends on: when it was asked, and the clocks it is read by."""

    query: Query
    now: datetime
    zone: tzinfo = UTC
    hours_zone: tzinfo = UTC

    @property
    def since(self) -> datetime | None:
        return self._moment(self.query.since)

    @property
    def until(self) -> datetime | None:
        return self._moment(self.query.until)

    def _moment(self, when: When | None) -> datetime | None:
        return when.moment(self.now, self.zone) if when else None

    @property
    def pinned(self) -> Query:
        """The query that means tomorrow and elsewhere what this one means here and now."""
        return replace(
            self.query,
            since=When(rfc3339(self.since)) if self.since else None,
            until=When(rfc3339(self.until)) if self.until else None,
        )

    @property
    def shared(self) -> Query:
        """The query for others: only what was meant of one clock is told with its offset."""
        return replace(
            self.pinned,
            **{
                name: when
                for name in ("since", "until")
                if (when := getattr(self.query, name)) is not None and when.is_relative
            },
        )

    @property
    def filters(self) -> dict[str, str]:
        """What a copy of the events says it was picked by, so that it can be picked again; empty
        when it was not."""
        if not self.query:
            return {}
        clock = {"hours_zone": str(self.hours_zone)} if self.query.hours else {}
        return {"query": str(self.pinned), **clock}

    @property
    def wanted(self) -> Wanted:
        query = self.query
        return Wanted(
            types=_pattern(query.type),
            agent=_pattern(query.agent),
            actor=_pattern(query.actor),
            correlation=_pattern(query.correlation),
            causation=_pattern(query.causation),
            texts=query.text,
            without=Without(
                types=_pattern(query.not_type),
                agent=_pattern(query.not_agent),
                actor=_pattern(query.not_actor),
                correlation=_pattern(query.not_correlation),
                causation=_pattern(query.not_causation),
                texts=query.not_text,
            ),
            since=self.since,
            until=self.until,
            from_seq=query.seq.first if query.seq else None,
            to_seq=query.seq.last if query.seq else None,
            hours=OffHours(self.hours_zone, query.hours is Hours.OFF) if query.hours else None,
        )


def _pattern(names: Names) -> Pattern | None:
    if not names:
        return None
    return Pattern(
        tuple(each.text for each in names if not each.begins),
        tuple(each.text for each in names if each.begins),
    )


def of_parameters(given: Mapping[str, str]) -> Query:
    """The query that asks what the parameters of /events ask: a saved view may hold those.

    Raises BadQuery for a `query` among them that this release does not understand.
    """
    if "query" in given:
        return parsed(given["query"])
    names: dict[str, Any] = {
        field: _names(given[parameter])
        for parameter, field in (
            ("types", "type"),
            ("agent", "agent"),
            ("actor", "actor"),
            ("correlation", "correlation"),
        )
        if parameter in given
    }
    return Query(
        **names,
        since=_when(given.get("since")),
        until=_when(given.get("until")),
        text=(given["q"],) if "q" in given else (),
    )


def _when(text: str | None) -> When | None:
    return When(rfc3339(parse_rfc3339(text))) if text else None


def _names(text: str) -> Names:
    pattern = Pattern.of(text)
    return (
        *(Name(each) for each in pattern.exact),
        *(Name(each, begins=True) for each in pattern.beginnings),
    )
