"""The bus: Django signals at three moments. A publisher never names a subscriber.

events_appended   in the transaction, before the log is written: `tenant`, `facts`, `context`.
                  An exception rolls everything back. Each receiver costs every command.
events_committed  after commit, in the process that appended: `tenant`, `events` (with envelopes).
                  At most once; a failing receiver is logged and harms nobody. For wake-ups.
event_published   from the log: `event`, sent to one subscription (the signal's sender) at a time.

    event_bus.subscribe("AgentHealthCheckFailedEvent", handle_unhealthy_agent)
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from django.db import connections
from django.dispatch import Signal

from events import registry
from events.facts import Fact

if TYPE_CHECKING:
    from events.log.proposal import Proposal
    from events.log.result import Appended

logger = logging.getLogger(__name__)

events_appended = Signal()
events_committed = Signal()
event_published = Signal()

Handler = Callable[[Any], object]
Start = Literal["now", "beginning"]


@dataclass(frozen=True, eq=False)
class Subscription:
    """One reader of the log: which events it wants, in which schema version, from when on.

    types: a type's name, or a prefix that ends in `*`. version: the schema version to hand over
    (each type's highest up to it), None for the newest. named: whether a person chose the name.
    """

    name: str
    types: str
    handler: Handler
    version: str | None = None
    start: Start = "now"
    named: bool = True

    def wants(self, event: Fact) -> bool:
        if self.types.endswith("*"):
            return event.type.startswith(self.types[:-1])
        return event.type == self.types

    def publish(self, event: Fact) -> None:
        """Send one event to this subscription's receivers; what they raise, this raises."""
        event_published.send(sender=self, event=registry.represent(event, self.version))


@dataclass
class EventBus:
    """Where subscribers meet the log. Subscribing is all a new integration has to do."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict)

    def subscribe(
        self,
        type_or_pattern: str,
        handler: Handler,
        *,
        name: str | None = None,
        version: str | None = None,
        start: Start = "now",
    ) -> Subscription:
        """Call `handler(event)` for every event of a type (or `Prefix*`). Returns the subscription.

        `name` defaults to the handler's dotted path; give one, since a renamed handler would
        otherwise begin anew. Raises ValueError for an unknown type or version, a taken name, a
        wrong start; TypeError for a handler that cannot be called.
        """
        _refuse_unknown_types(type_or_pattern)
        _refuse_unknown_version(version)
        if not callable(handler):
            raise TypeError(f"A handler is called with the event; {handler!r} cannot be.")
        if start not in ("now", "beginning"):
            raise ValueError(f'start is "now" or "beginning", not {start!r}.')
        chosen = name or f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"
        standing = self.subscriptions.get(chosen)
        subscription = Subscription(
            chosen, type_or_pattern, handler, version, start, named=name is not None
        )
        if standing is not None:
            if standing.handler is handler and standing.types == type_or_pattern:
                return standing
            raise ValueError(
                f"A subscription named {chosen!r} exists. Give this one its own name=."
            )
        self.subscriptions[chosen] = subscription

        # Through the subscription, which so lives as long as the signal knows it: signals tell
        # senders apart by id(), and the id of a dead one would be given to another.
        def receive(event: Fact, **_: object) -> None:
            subscription.handler(event)

        event_published.connect(receive, sender=subscription, weak=False, dispatch_uid=chosen)
        self._follow()
        return subscription

    def _follow(self) -> None:
        """Called with every subscription, for a bus that listens only when somebody waits."""

    def unsubscribe(self, name: str) -> None:
        """Forget the subscription; KeyError when there is none of this name."""
        subscription = self.subscriptions.pop(name)
        event_published.disconnect(sender=subscription, dispatch_uid=name)

    def deliver(self, events: Sequence[Fact]) -> None:
        """Publish events to whoever wants them; a failing subscriber harms no other."""
        for subscription in tuple(self.subscriptions.values()):
            for event in events:
                if subscription.wants(event):
                    self._deliver_one(subscription, event)

    def _deliver_one(self, subscription: Subscription, event: Fact) -> None:
        try:
            subscription.publish(event)
        except Exception:
            logger.exception("%s failed on %s", subscription.name, event.type)


class InProcessEventBus(EventBus):
    """Hands committed events to subscribers on a thread of its own, so that no command waits.

    At most once: what the process had not handed over when it died is not handed over again.
    """

    CAPACITY = 10_000

    def __init__(self) -> None:
        super().__init__()
        self._waiting: queue.Queue[Sequence[Fact]] = queue.Queue(self.CAPACITY)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def _follow(self) -> None:
        # Only now: without a subscriber no command has to build its events' envelopes.
        events_committed.connect(self._hear)

    def _hear(self, events: Sequence[Fact], **_: object) -> None:
        wanted = [e for e in events if any(s.wants(e) for s in self.subscriptions.values())]
        if not wanted:
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="event-bus", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(wanted)
        except queue.Full:
            logger.error(  # noqa: TRY400 -- the traceback would say nothing
                "The event bus is full; %d events were not handed over", len(wanted)
            )

    def join(self) -> None:
        """Return when everything heard so far has been handed over."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            events = self._waiting.get()
            try:
                self.deliver(events)
            finally:
                connections.close_all()
                self._waiting.task_done()


class InMemoryEventBus(EventBus):
    """For tests: follows the log directly. When a command returns, every subscriber has run.

    It listens from its construction until it is collected. `failures` holds what was raised.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[tuple[Subscription, Fact, Exception]] = []
        events_committed.connect(self._hear)

    def publish(self, *events: Fact) -> None:
        """Deliver these events now, whether or not they are in a log."""
        self.deliver(events)

    def _hear(self, events: Sequence[Fact], **_: object) -> None:
        self.deliver(events)

    def _deliver_one(self, subscription: Subscription, event: Fact) -> None:
        try:
            subscription.publish(event)
        except Exception as error:  # noqa: BLE001 -- kept for the test to look at
            self.failures.append((subscription, event, error))


event_bus = InProcessEventBus()


def has_counsel() -> bool:
    """Whether anybody listens at the first moment, to every sender or to this one."""
    return bool(events_appended.receivers) and events_appended.has_listeners(EventBus)


def consult(tenant: str, proposal: "Proposal") -> None:
    """The first moment: let receivers veto, or write rows that must be true on return."""
    events_appended.send(
        sender=EventBus, tenant=tenant, facts=tuple(proposal.facts), context=proposal.context
    )


def announce(appended: "Appended") -> None:
    """The second moment: the events are durable."""
    if events_committed.receivers and events_committed.has_listeners(EventBus):
        events_committed.send_robust(
            sender=EventBus, tenant=appended.tenant, events=appended.events
        )


def _refuse_unknown_types(type_or_pattern: str) -> None:
    if type_or_pattern.endswith("*"):
        prefix = type_or_pattern[:-1]
        if "*" not in prefix and any(known.startswith(prefix) for known in registry.types()):
            return
    elif type_or_pattern in registry.types():
        return
    raise ValueError(
        f"No event type matches {type_or_pattern!r}. Use a type's name, or a prefix ending in *."
    )


def _refuse_unknown_version(version: str | None) -> None:
    known = registry.all_versions()
    if version is not None and version not in known:
        raise ValueError(f"No event has version {version!r}. Pin one of {', '.join(known)}.")
