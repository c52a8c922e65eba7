"""What the worker does beside reading the log for subscriptions; rooms register here at start.

    sweep("health", every_seconds=5, run=…)   again and again, in one worker at a time
    companion("relay", run=…)                 for as long as the worker runs, in each worker

A sweep is called with no arguments and returns how many things it did; it has to be safe to run
twice at once. One that takes long asks `is_ending()` at times, and leaves off when it says yes. A
companion is called with the worker's `Beside` and returns soon after `stop` is set. What either
raises is logged, and it is called again later.
"""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


class Ear(Protocol):
    """Hears that logs have grown."""

    def wait(self, timeout_seconds: float) -> frozenset[str]:
        """The tenants whose logs may have grown since the last call, at once when there are any;
        none when the time is over or the worker stops. A lost wake-up is possible: look yourself
        at times."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a companion is given. stop: set when the worker ends, which it does within 5 s."""

    stop: threading.Event
    ear: Ear


@dataclass(frozen=True, slots=True)
class Sweep:
    name: str
    every_seconds: float
    run: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Companion:
    name: str
    run: Callable[[Beside], None]


sweeps: dict[str, Sweep] = {}
companions: dict[str, Companion] = {}


def sweep(name: str, *, every_seconds: float, run: Callable[[], int]) -> None:
    """Have the worker call `run` every so many seconds. Registering a name again replaces it."""
    sweeps[name] = Sweep(name, every_seconds, run)


def companion(name: str, run: Callable[[Beside], None]) -> None:
    """Have the worker run this beside it. Registering a name again replaces it."""
    companions[name] = Companion(name, run)


_ending: ContextVar[Callable[[], bool]] = ContextVar("ending")


def end_when(ending: Callable[[], bool]) -> None:
    """To be said by whoever calls sweeps in this thread: when the worker is about to end."""
    _ending.set(ending)


def is_ending() -> bool:
    """Whether the worker that runs this sweep is about to end; never where none said when."""
    ending = _ending.get(None)
    return ending is not None and ending()
