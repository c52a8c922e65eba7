"""The agents of a tenant, filtered and in pages, now or as they stood at a seq.

Pages follow agent_id, and can be turned both ways. However little a filter finds, a page looks at
no more than EXAMINED agents and is then returned short. Filters mean the same on both engines:
names are compared as they are written, and only `text` ignores case, by Unicode's rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from django.db.models import QuerySet

from agents import current, history
from agents.current import STREAM, Loaded
from agents.domain import limits
from agents.domain.state import Agent, Health, Intent, Status
from agents.models import CurrentAgent
from events.log.places import streams_after, streams_before
from events.models import Event
from events.patterns import Pattern

EXAMINED = 5_000  # agents, for one page
CHUNK = 250  # rows of one query
REPLAYED = 20_000  # events, for one page of the past; 1,000 agents with their states take 15,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for. min_level: of the capability that fits. tags: each must fit one of the
    agent's. text: in id, name, description or type. Terminated agents are found only when their
    status or intent is asked for."""

    statuses: Sequence[str] | None = None
    intents: Sequence[str] | None = None
    healths: Sequence[str] | None = None
    capability: Pattern | None = None
    min_level: int = limits.MIN_LEVEL
    tags: Sequence[Pattern] = ()
    text: str | None = None
    agent_id: str | None = None

    @property
    def terminated_too(self) -> bool:
        return Status.TERMINATED in (self.statuses or ()) or (
            Intent.TERMINATED in (self.intents or ())
        )

    @property
    def passes_over(self) -> bool:
        """Whether the database is asked for more than that they are not terminated."""
        named = (self.statuses, self.intents, self.healths, self.capability)
        return bool(self.tags) or any(each is not None for each in named)

    def fits(self, agent: Agent) -> bool:
        return (
            (self.terminated_too or agent.intent is not Intent.TERMINATED)
            and (self.statuses is None or agent.status in self.statuses)
            and (self.intents is None or agent.intent in self.intents)
            and (self.healths is None or agent.health in self.healths)
            and (
                self.capability is None
                or any(
                    self.capability.fits(each.name) and each.proficiency_level >= self.min_level
                    for each in agent.capabilities
                )
            )
            and all(any(tag.fits(each) for each in agent.tags) for tag in self.tags)
            and (self.text is None or _holds(agent, self.text.casefold()))
        )

    def narrowed(self, rows: QuerySet[CurrentAgent]) -> QuerySet[CurrentAgent]:
        """Fewer rows to look at; `fits` still decides."""
        for column, allowed in (
            ("status", self.statuses),
            ("intent", self.intents),
            ("health", self.healths),
        ):
            if allowed is not None:
                rows = rows.filter(**{f"{column}__in": allowed})
        if not self.terminated_too:
            rows = rows.exclude(intent=Intent.TERMINATED.value)
        for pattern in (*self.tags, *((self.capability,) if self.capability else ())):
            if pattern.single is not None:
                rows = rows.filter(labels__contains=msgspec.json.encode(pattern.single).decode())
        return rows


@dataclass(frozen=True, slots=True)
class Page:
    """In the order of ids. next: the last agent_id examined (of a page before an id the lowest),
    where another page in the same direction begins; None when there is no more."""

    agents: list[Loaded]
    next: str | None


def page(
    tenant: str,
    wanted: Wanted,
    *,
    limit: int,
    after: str | None = None,
    before: str | None = None,
    seq: int | None = None,
) -> Page:
    """The next agents after that id, or the last ones before one; with `seq` as they stood when the
    log ended there."""
    if before is None:
        return _walk(tenant, wanted, limit, after, seq, forwards=True)
    turned = _walk(tenant, wanted, limit, before, seq, forwards=False)
    return Page(turned.agents[::-1], turned.next)


def _walk(
    tenant: str, wanted: Wanted, limit: int, start: str | None, seq: int | None, *, forwards: bool
) -> Page:
    found: list[Loaded] = []
    work = _Work()
    source: _Source = (
        _Now(tenant, wanted, limit, forwards=forwards)
        if seq is None
        else _Then(tenant, wanted, seq, limit, forwards=forwards)
    )
    for agent_id, loaded in source.agents(start, work):
        if loaded is not None and wanted.fits(loaded.agent):
            found.append(loaded)
        if len(found) == limit or work.is_done:
            return Page(found, agent_id if source.has_more(agent_id) else None)
    return Page(found, None)


@dataclass(slots=True)
class _Work:
    """What a page has cost so far."""

    examined: int = 0
    replayed: int = 0

    @property
    def is_done(self) -> bool:
        return self.examined >= EXAMINED or self.replayed >= REPLAYED


class _Source(Protocol):
    """Where the agents of a list come from. start: the id beyond which to begin."""

    def agents(self, start: str | None, work: _Work) -> Iterator[tuple[str, Loaded | None]]:
        """Agent by agent, in the direction of the walk; None for one that was not there yet."""

    def has_more(self, agent_id: str) -> bool: ...


_KEPT = ("agent_id", "version", "seq", "fold", "state")


class _Now:
    """The agents that have a current row."""

    def __init__(self, tenant: str, wanted: Wanted, limit: int, *, forwards: bool) -> None:
        self.tenant = tenant
        self.size = min(limit, CHUNK)
        self.forwards = forwards
        rows = CurrentAgent.objects.filter(tenant=tenant)
        rows = rows.order_by("agent_id" if forwards else "-agent_id")
        if wanted.agent_id is not None:
            rows = rows.filter(agent_id=wanted.agent_id)
        self.rows = wanted.narrowed(rows)
        # What the database passes over has to be counted too.
        self.candidates = rows if wanted.passes_over else self.rows

    def agents(self, start: str | None, work: _Work) -> Iterator[tuple[str, Loaded | None]]:
        last = self._last_examined(start)
        rows = self.rows
        if last is not None:
            rows = rows.filter(**{f"agent_id__{'lte' if self.forwards else 'gte'}": last})
        yield from self._until_the_end(rows, start, work)
        if last is not None:
            work.examined = EXAMINED
            yield last, None

    def _last_examined(self, start: str | None) -> str | None:
        """The last agent that a page may look at; None when it may look at all."""
        if self.candidates is self.rows:
            return None
        following = self._beyond(self.candidates, start).values_list("agent_id", flat=True)
        return following[EXAMINED - 1 : EXAMINED].first()

    def _until_the_end(
        self, rows: QuerySet[CurrentAgent], start: str | None, work: _Work
    ) -> Iterator[tuple[str, Loaded | None]]:
        while True:
            chunk = list(self._beyond(rows, start).values_list(*_KEPT)[: self.size])
            for agent_id, version, place, fold, state in chunk:
                work.examined += 1
                yield (
                    agent_id,
                    current.loaded(
                        self.tenant, agent_id, version=version, seq=place, fold=fold, state=state
                    ),
                )
            if len(chunk) < self.size:
                return
            # A filter that finds little looks at more and more at once.
            start, self.size = chunk[-1][0], min(self.size * 2, CHUNK)

    def _beyond(self, rows: QuerySet[CurrentAgent], start: str | None) -> QuerySet[CurrentAgent]:
        if start is None:
            return rows
        return rows.filter(**{f"agent_id__{'gt' if self.forwards else 'lt'}": start})

    def has_more(self, agent_id: str) -> bool:
        return self._beyond(self.candidates, agent_id).exists()


class _Then:
    """The agents that the log knows, whether or not their rows are there, as of `seq`."""

    def __init__(
        self, tenant: str, wanted: Wanted, seq: int, limit: int, *, forwards: bool
    ) -> None:
        self.tenant = tenant
        self.only = wanted.agent_id
        self.seq = seq
        self.size = min(limit, CHUNK)
        self.forwards = forwards

    def agents(self, start: str | None, work: _Work) -> Iterator[tuple[str, Loaded | None]]:
        while True:
            chunk = self._ids(start, self.size)
            for stood in history.agents_at_seq(self.tenant, chunk, self.seq):
                work.examined += 1
                work.replayed += stood.folded
                yield stood.agent_id, stood.loaded
            if len(chunk) < self.size:
                return
            # A filter that finds little looks at more and more at once.
            start, self.size = chunk[-1], min(self.size * 2, CHUNK)

    def has_more(self, agent_id: str) -> bool:
        return bool(self._ids(agent_id, 1))

    def _ids(self, start: str | None, limit: int) -> list[str]:
        if self.only is not None:
            return self._only_id(self.only, start)
        if self.forwards:
            return streams_after(self.tenant, STREAM, start or "", limit)
        return streams_before(self.tenant, STREAM, start or "", limit)

    def _only_id(self, only: str, start: str | None) -> list[str]:
        own = Event.objects.filter(
            tenant=self.tenant, stream_type=STREAM, stream_id=only, version=1
        )
        if start is not None:
            own = own.filter(**{f"stream_id__{'gt' if self.forwards else 'lt'}": start})
        return list(own.values_list("stream_id", flat=True))


def as_it_is(row: CurrentAgent) -> Loaded:
    """The agent of its current row, or of its events where the row cannot be read."""
    return current.loaded(
        row.tenant_id,
        row.agent_id,
        version=row.version,
        seq=row.seq,
        fold=row.fold,
        state=row.state,
    )


def _holds(agent: Agent, text: str) -> bool:
    return any(
        text in part.casefold()
        for part in (agent.agent_id, agent.name, agent.description, agent.agent_type)
    )


STATUSES = tuple(each.value for each in Status)
INTENTS = tuple(each.value for each in Intent)
HEALTHS = tuple(each.value for each in Health)
