"""Whether what stands beside the log keeps up with it: the subscriptions, and a worker for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from events.durable import status
from events.durable.status import Condition, State
from events.worker import heartbeat
from projections.analytics.readmodel import NAME as ANALYTICS

SHOWN = 3
LATE_SECONDS = 10.0  # a worker that lives catches up in less
# The worst first; those that are behind are told apart by how long.
_WORST = (Condition.STOPPED, Condition.PARKED, Condition.GONE, Condition.RETRYING)


@dataclass(frozen=True, slots=True)
class Readers:
    """states: all subscriptions. worker_seconds: since a worker was last seen; None: never."""

    states: Sequence[State]
    worker_seconds: float | None

    @property
    def has_worker(self) -> bool:
        return heartbeat.is_alive(self.worker_seconds)

    @property
    def worst(self) -> State | None:
        """The one that is behind by the longest time; None when there is none at all."""
        return max(self.states, key=lambda each: (each.lag_seconds, each.lag_events), default=None)

    @property
    def troubled(self) -> list[State]:
        """Those that need a person, or have not been read for a while."""
        return [each for each in self.states if _is_troubled(each)]

    @property
    def troubled_first(self) -> list[State]:
        return sorted(self.troubled, key=_rank)[:SHOWN]

    @property
    def kept_up(self) -> int:
        return len(self.states) - len(self.troubled)

    @property
    def head(self) -> int:
        """The log's last seq when the subscriptions were asked."""
        return max((each.head for each in self.states), default=0)

    @property
    def worker_age(self) -> int | None:
        """In whole seconds."""
        return None if self.worker_seconds is None else int(self.worker_seconds)

    @property
    def late_statistics(self) -> State | None:
        """The reader that counts tasks, where it has not kept up."""
        return next((each for each in self.troubled if each.name == ANALYTICS), None)


def of(tenant: str) -> Readers:
    return Readers(status.states(tenant), heartbeat.age_seconds())


def _is_troubled(state: State) -> bool:
    return state.condition in _WORST or state.lag_seconds >= LATE_SECONDS


def _rank(state: State) -> tuple[int, float, str]:
    condition = state.condition
    place = _WORST.index(condition) if condition in _WORST else len(_WORST)
    return place, -state.lag_seconds, state.name
