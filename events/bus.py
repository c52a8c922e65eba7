"""The bus: Django signals at three moments. A publisher never names a subscriber.

events_appended   in the transaction, before the log is written: `tenant`, `facts`, `context`.
                  An exception rolls everything back. Each receiver costs every command.
events_committed  after commit, in the process that appended: `tenant`, `events` (with envelopes).
                  At most once; a failing receiver is logged and harms nobody. For wake-ups.
event_published   from the log: `event`, sent to one subscription (the signal's sender) at a time.

    event_bus.subscribe("AgentHealthCheckFailedEvent", handle_unhealthy_agent)

A subscription is durable: the worker (`events.worker`) reads the log for it, and remembers how far.
A reaction runs outside any transaction, at least once. A projection writes rows, in one transaction
with the checkpoint: exactly once.
"""

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

from django.db import transaction
from django.db.models import Model
from django.dispatch import Signal

from events import registry
from events.facts import Fact
from events.patterns import BadPattern, Pattern
from events.readmodels import ReadModel

if TYPE_CHECKING:
    from events.log.proposal import Proposal
    from events.log.result import Appended

logger = logging.getLogger(__name__)

events_appended = Signal()
events_committed = Signal()
event_published = Signal()

Handler = Callable[[Any], object]
Start = Literal["now", "beginning"]
NAME_LENGTH = 255


@dataclass(frozen=True, eq=False)
class Subscription:
    """One reader of the log: which events it wants, in which schema version, from when on.

    types: types' names, or prefixes that end in `*`; several with commas. version: the schema
    version to hand over (each type's highest up to it), None for the newest. named: whether a
    person chose the name. is_projection: its rows and its checkpoint are one transaction.
    read_model: of a projection that is given as pure functions; models: whose rows a projection's
    handler writes, so that it can be rebuilt.
    """

    name: str
    types: str
    handler: Handler
    version: str | None = None
    start: Start = "now"
    named: bool = True
    is_projection: bool = False
    read_model: ReadModel | None = None
    models: tuple[type[Model], ...] = ()

    @cached_property
    def wanted_types(self) -> frozenset[str]:
        """The names of the types that it wants, of those that this release knows."""
        return frozenset(filter(self.pattern.fits, registry.types()))

    @cached_property
    def pattern(self) -> Pattern:
        """The types that it wants, those too that only another release knows: they are not passed
        over without a word."""
        return Pattern.of(self.types)

    @property
    def wants_everything(self) -> bool:
        return "" in self.pattern.beginnings

    def wants(self, event: Fact) -> bool:
        return self.pattern.fits(event.type)

    def is_like(self, other: "Subscription") -> bool:
        """Whether both are the same in all but identity."""
        same = (
            getattr(self, each.name) == getattr(other, each.name)
            for each in fields(self)
            if each.name not in ("handler", "read_model")
        )
        handlers = self.handler is other.handler or self.read_model is not None
        return handlers and self.read_model is other.read_model and all(same)

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
        """Call `handler(event)` for every event of a type (or `Prefix*`, or several with commas).

        At least once, in the order of each tenant's log, outside any transaction. `name` defaults
        to the handler's dotted path; give one, since a renamed handler would otherwise begin anew.
        Returns the subscription. Raises ValueError for an unknown type or version, a taken name, a
        wrong start; TypeError for a handler that cannot be called.
        """
        if start not in ("now", "beginning"):
            raise ValueError(f'start is "now" or "beginning", not {start!r}.')
        return self._add(type_or_pattern, handler, name, version=version, start=start)

    @overload
    def project(
        self, type_or_pattern: str, read_model: ReadModel, /, *, version: str | None = None
    ) -> Subscription: ...
    @overload
    def project(
        self,
        type_or_pattern: str,
        handler: Handler,
        /,
        *,
        name: str | None = None,
        version: str | None = None,
        models: Sequence[type[Model]] = (),
    ) -> Subscription: ...
    def project(
        self,
        type_or_pattern: str,
        handler: Handler | ReadModel,
        /,
        *,
        name: str | None = None,
        version: str | None = None,
        models: Sequence[type[Model]] = (),
    ) -> Subscription:
        """Keep a read model: every event from the first, rows and checkpoint in one transaction.

        `handler(event)` writes rows through the ORM; name its `models`, and it can be rebuilt. Or
        give a ReadModel, which is faster. Errors as of `subscribe`.
        """
        read_model = handler if isinstance(handler, ReadModel) else None
        return self._add(
            type_or_pattern,
            _fold_alone(handler) if isinstance(handler, ReadModel) else handler,
            read_model.name if read_model else name,
            version=version,
            start="beginning",
            is_projection=True,
            read_model=read_model,
            models=tuple(models),
        )

    def _add(
        self, type_or_pattern: str, handler: Handler, name: str | None, **more: Any
    ) -> Subscription:
        _refuse_unknown_types(type_or_pattern)
        _refuse_unknown_version(more["version"])
        if not callable(handler):
            raise TypeError(f"A handler is called with the event; {handler!r} cannot be.")
        if inspect.iscoroutinefunction(handler):
            raise TypeError(
                f"A handler has done its work when it returns; {handler!r} is a coroutine function."
                " Wrap it with asgiref.sync.async_to_sync."
            )
        chosen = name or f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"
        if len(chosen) > NAME_LENGTH:
            raise ValueError(f"A subscription's name has at most {NAME_LENGTH} characters.")
        subscription = Subscription(
            chosen, type_or_pattern, handler, named=name is not None, **more
        )
        standing = self.subscriptions.get(chosen)
        if standing is not None:
            if standing.is_like(subscription):
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
        return subscription

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
            _publish_alone(subscription, event)
        except Exception:
            logger.exception("%s failed on %s", subscription.name, event.type)


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
            _publish_alone(subscription, event)
        except Exception as error:  # noqa: BLE001 -- kept for the test to look at
            self.failures.append((subscription, event, error))


def _publish_alone(subscription: Subscription, event: Fact) -> None:
    """Without a worker: a projection's rows in a transaction of their own."""
    if subscription.is_projection:
        with transaction.atomic():
            subscription.publish(event)
    else:
        subscription.publish(event)


def _fold_alone(read_model: ReadModel) -> Handler:
    def fold_alone(event: Any) -> None:
        from events.durable.rows import fold_alone  # only now: it knows the bus

        fold_alone(read_model, event)

    return fold_alone


event_bus = EventBus()


def projection(
    type_or_pattern: str,
    *,
    name: str | None = None,
    version: str | None = None,
    models: Sequence[type[Model]] = (),
) -> Callable[[Handler], Handler]:
    """Make a read model of the decorated `handler(event)`: see `EventBus.project`."""

    def decorate(handler: Handler) -> Handler:
        event_bus.project(type_or_pattern, handler, name=name, version=version, models=models)
        return handler

    return decorate


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
            sender=EventBus, tenant=appended.tenant, events=_EventsOf(appended)
        )


class _EventsOf(Sequence[Fact]):
    """The events of an append, built when somebody looks: whoever is only woken does not."""

    def __init__(self, appended: "Appended") -> None:
        self._appended = appended

    @overload
    def __getitem__(self, place: int) -> Fact: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Fact]: ...
    def __getitem__(self, place: int | slice) -> Fact | Sequence[Fact]:
        return self._appended.events[place]

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._appended.events)

    def __len__(self) -> int:
        return len(self._appended.events)


def _refuse_unknown_types(type_or_pattern: str) -> None:
    """Each of the alternatives has to mean something."""
    for each in type_or_pattern.split(","):
        try:
            if any(map(Pattern.of(each).fits, registry.types())):
                continue
        except BadPattern:
            pass
        raise ValueError(
            f"No event type matches {each!r}. Use a type's name, or a prefix ending in *."
        )


def _refuse_unknown_version(version: str | None) -> None:
    known = registry.all_versions()
    if version is not None and version not in known:
        raise ValueError(f"No event has version {version!r}. Pin one of {', '.join(known)}.")
