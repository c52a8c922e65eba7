"""A projection made anew from its log, beside the live one; or made anew only to be compared.

A read model is folded into another generation of its tables, while the live one goes on. At the end
the live one's lease is taken, the rest of the log is folded, and one statement makes the new
generation the one that counts: readers see the old rows or the new ones, and never none.

A projection's handler knows no generations: its rows are deleted and written again in one
transaction. Readers see the old rows until it commits; on SQLite, commands wait for it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connections, models, transaction

from events import registry
from events.bus import Subscription
from events.durable import held, lease, registration
from events.durable.catching_up import holder
from events.durable.differing import Difference, differences, of_generation
from events.durable.lease import Lease
from events.durable.renewing import renewing
from events.durable.rows import Rows
from events.durable.status import BUILD_SUFFIX
from events.facts import Fact
from events.log import cursor, read
from events.log.cursor import LogDamaged, Position
from events.log.read import Told
from events.models import Event, HeldStream, SubscriptionCheckpoint
from events.readmodels import ReadModel

PAGE = 5_000
LEASE_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
CLEARED_AT_ONCE = 5_000

Progress = Callable[[int], object]


class CannotRebuild(Exception):
    """It cannot be made anew now; the message says why and what to do."""


class BuiltElsewhere(CannotRebuild):
    """Another process is at it."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """events: how many of the log's were looked at, up to `seq`. held: streams that failed."""

    events: int
    seq: int
    rows: int
    held: int


def _nobody(events: int) -> None:
    pass


def rebuild(
    subscription: Subscription,
    tenant: str,
    progress: Progress = _nobody,
    *,
    lease_seconds: float = LEASE_SECONDS,
) -> Rebuilt:
    """Make the projection's rows of one tenant anew. lease_seconds: how long others wait when this
    process is killed. Raises CannotRebuild, LogDamaged."""
    if subscription.read_model is None:
        return _Rewriting(subscription, tenant, lease_seconds).rebuild(progress)
    with _building(subscription, tenant, lease_seconds, as_live=False) as build:
        build.fold_all(progress)
        with _live(subscription, tenant, lease_seconds) as live:
            build.fold_to(cursor.head(tenant).seq, progress)
            _switch(live, build)
        _clear(subscription.read_model, tenant, keep=build.generation)
        return Rebuilt(build.position.seq, build.position.seq, build.rows_told(), len(build.held))


def check(
    subscription: Subscription, tenant: str, progress: Progress = _nobody
) -> tuple[Rebuilt, Sequence[Difference]]:
    """What the standing rows have wrong, as far as their checkpoint. Raises CannotRebuild,
    LogDamaged. Streams that are held now differ by what waits."""
    if subscription.read_model is None:
        return _Rewriting(subscription, tenant, LEASE_SECONDS).check(progress)
    with _building(subscription, tenant, LEASE_SECONDS, as_live=True) as build:
        now = lease.see(subscription.name, tenant)
        build.fold_to(now.position.seq if now else 0, progress)
        with _live(subscription, tenant, LEASE_SECONDS) as live:
            build.fold_to(live.position.seq, progress)
            found = list(
                differences(subscription.read_model, tenant, live.generation, build.generation)
            )
        told = build.rows_told()
        _clear(subscription.read_model, tenant, keep=live.generation)
        return Rebuilt(build.position.seq, build.position.seq, told, len(build.held)), found


@contextmanager
def _building(
    subscription: Subscription, tenant: str, lease_seconds: float, *, as_live: bool
) -> "Iterator[_Build]":
    """The right to make another generation, which one process at a time has.

    as_live: whether those rows count of it that count of the live one, however long rows are to be
    kept from now on.
    """
    read_model = subscription.read_model
    if read_model is None:
        raise AssertionError("unreachable: only read models have generations")
    registration.begin(subscription.name, tenant)
    name = subscription.name + BUILD_SUFFIX
    registration.begin(name, tenant)
    seen = lease.see(name, tenant)
    taken = lease.take(seen, holder(), lease_seconds) if seen else None
    if taken is None:
        raise BuiltElsewhere(
            f"{subscription.name} of {tenant} is being rebuilt by another process. Wait for it."
        )
    with _kept(subscription.name, lease_seconds):
        try:
            live = lease.see(subscription.name, tenant)
            generation = live.generation if live else 1
            _clear(read_model, tenant, keep=generation)
            if read_model.keeping:
                like = generation if as_live else None
                read_model.keeping.begin(tenant, generation + 1, like=like)
            yield _Build(subscription, read_model, tenant, generation + 1)
        finally:
            lease.forget(taken)
            SubscriptionCheckpoint.objects.filter(
                tenant=tenant, pk=taken.pk, epoch=taken.epoch
            ).delete()


@contextmanager
def _live(subscription: Subscription, tenant: str, lease_seconds: float) -> Iterator[Lease]:
    """The live one stands still for as long as the body runs."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = lease.see(subscription.name, tenant)
        taken = lease.take(seen, holder(), lease_seconds) if seen else None
        if taken is not None:
            break
        if time.monotonic() > until:
            raise CannotRebuild(
                f"{subscription.name} of {tenant} is stopped, or read by a worker that does not "
                f"let go of it. Look at its state, and try again."
            )
        time.sleep(0.05)
    try:
        yield taken
    finally:
        taken.release()


def _kept(name: str, lease_seconds: float) -> AbstractContextManager[None]:
    """The leases of a rebuild of this name stay alive meanwhile; and no others that this process
    has: a worker's are to end soon when it is killed."""
    names = (name, name + BUILD_SUFFIX)
    return renewing(
        lambda: lease.keep(holder(), lease_seconds, names=names), every_seconds=lease_seconds / 4
    )


class _Build:
    """A generation in the making: what it has folded, and which streams failed."""

    def __init__(
        self, subscription: Subscription, read_model: ReadModel, tenant: str, generation: int
    ) -> None:
        self.tenant = tenant
        self.generation = generation
        self.position = cursor.BEGINNING
        self.held: dict[held.Stream, tuple[Told, str]] = {}
        self._subscription = subscription
        self._read_model = read_model
        self._rows = Rows(read_model, tenant, generation, begins_empty=True)

    def fold_all(self, progress: Progress) -> None:
        """Until little is left."""
        while (head := cursor.head(self.tenant).seq) - self.position.seq > PAGE:
            self.fold_to(head, progress)

    def fold_to(self, seq: int, progress: Progress) -> None:
        """Up to and including an event. Raises LogDamaged where one is missing."""
        starts = range(self.position.seq + 1, seq + 1, PAGE)
        parts = [(first, min(first + PAGE - 1, seq)) for first in starts]
        for last, page in _read_ahead(self._subscription, self.tenant, parts):
            self._rows.prepare([each.fact for each in page if isinstance(each.fact, Fact)])
            for told in page:
                self._fold(told)
            with transaction.atomic():
                self._rows.write()
            self._rows.written()
            progress(last - self.position.seq)
            self.position = _position(self.tenant, last)

    def _fold(self, told: Told) -> None:
        stream = told.stream_type, told.stream_id
        if self.held and stream in self.held:
            return
        try:
            self._rows.fold(registry.represent(told.decoded(), self._subscription.version))
        except Exception as error:  # noqa: BLE001 -- held, as the live one would
            self.held[stream] = told, f"{type(error).__name__}: {error}"

    def rows_told(self) -> int:
        return sum(
            of_generation(model, self.tenant, self.generation).count()
            for model in self._read_model.tables.values()
        )


def _read_ahead(
    subscription: Subscription, tenant: str, parts: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, Sequence[Told]]]:
    """Each part's last seq and its events; while one is folded, the next is read already."""
    if len(parts) <= 1:
        for first, last in parts:
            yield last, _events(subscription, tenant, first, last)
        return
    with ThreadPoolExecutor(1, "reads ahead") as reader:
        try:
            following = reader.submit(_events, subscription, tenant, *parts[0])
            for (_, last), after in pairwise(parts):
                page = following.result()
                following = reader.submit(_events, subscription, tenant, *after)
                yield last, page
            yield parts[-1][1], following.result()
        finally:
            reader.submit(connections.close_all).result()


def _events(subscription: Subscription, tenant: str, first: int, last: int) -> Sequence[Told]:
    part = Event.objects.filter(tenant=tenant, seq__gte=first, seq__lte=last)
    if part.count() != last - first + 1:
        raise LogDamaged(f"{tenant}'s log misses an event between {first} and {last}.")
    wanted = (
        part
        if subscription.wants_everything
        else part.filter(subscription.pattern.condition("type"))
    )
    return list(read.told(wanted.order_by("seq")))


def _position(tenant: str, seq: int) -> Position:
    digest = Event.objects.values_list("hash", flat=True).get(tenant=tenant, seq=seq)
    return Position(seq, bytes(digest))


def _switch(live: Lease, build: _Build) -> None:
    """From here on the new generation is the one that counts, and goes on from where it stands."""
    with transaction.atomic():
        live.switch(build.position, build.generation)
        HeldStream.objects.filter(tenant=live.tenant, subscription=live.subscription).delete()
        for told, error in build.held.values():
            held.hold(live, told, error)


def _clear(read_model: ReadModel, tenant: str, *, keep: int) -> None:
    """Delete what is of another generation, a part at a time."""
    for model in read_model.tables.values():
        manager = model._default_manager  # noqa: SLF001 -- documented
        others = manager.filter(tenant=tenant).exclude(generation=keep)
        while keys := list(others.values_list("pk", flat=True)[:CLEARED_AT_ONCE]):
            manager.filter(tenant=tenant, pk__in=keys).delete()
    if read_model.keeping:
        read_model.keeping.clear(tenant, keep=keep)


class _Rewriting:
    """A projection whose handler writes its rows itself."""

    def __init__(self, subscription: Subscription, tenant: str, lease_seconds: float) -> None:
        if not subscription.models:
            raise CannotRebuild(
                f"{subscription.name} does not say which rows are its own. Name its models= where "
                f"it is connected."
            )
        self._subscription = subscription
        self._tenant = tenant
        self._lease_seconds = lease_seconds

    def rebuild(self, progress: Progress) -> Rebuilt:
        registration.begin(self._subscription.name, self._tenant)
        with self._alone() as live, transaction.atomic():
            live.confirm()
            end = cursor.head(self._tenant)
            self._write_again(end.seq, progress)
            held_streams = HeldStream.objects.filter(
                tenant=self._tenant, subscription=self._subscription.name
            )
            held_streams.delete()
            live.switch(end, live.generation)
            return Rebuilt(end.seq, end.seq, sum(map(len, self._snapshot().values())), 0)

    def check(self, progress: Progress) -> tuple[Rebuilt, Sequence[Difference]]:
        registration.begin(self._subscription.name, self._tenant)
        with self._alone() as live, transaction.atomic():
            standing = self._snapshot()
            self._write_again(live.position.seq, progress)
            told = self._snapshot()
            transaction.set_rollback(True)
        seq = live.position.seq
        rows = sum(sum(counts.values()) for counts in told.values())
        return Rebuilt(seq, seq, rows, 0), list(self._differences(standing, told))

    @contextmanager
    def _alone(self) -> Iterator[Lease]:
        subscription, seconds = self._subscription, self._lease_seconds
        with (
            _kept(subscription.name, seconds),
            _live(subscription, self._tenant, seconds) as live,
        ):
            yield live

    def _write_again(self, seq: int, progress: Progress) -> None:
        for model in self._subscription.models:
            model._default_manager.filter(tenant=self._tenant).delete()  # noqa: SLF001
        for first in range(1, seq + 1, PAGE):
            last = min(first + PAGE - 1, seq)
            for told in _events(self._subscription, self._tenant, first, last):
                self._publish(told)
            progress(last - first + 1)

    def _publish(self, told: Told) -> None:
        try:
            self._subscription.publish(told.decoded())
        except Exception as error:
            raise CannotRebuild(
                f"{self._subscription.name} fails at seq {told.seq} of {self._tenant} "
                f"({type(error).__name__}: {error}). Nothing was changed."
            ) from error

    def _snapshot(self) -> dict[type[models.Model], Counter[tuple[Any, ...]]]:
        return {
            model: Counter(
                tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
                for row in model._default_manager.filter(  # noqa: SLF001 -- documented
                    tenant=self._tenant
                ).values_list(*_said(model))
            )
            for model in self._subscription.models
        }

    def _differences(
        self,
        standing: dict[type[models.Model], Counter[tuple[Any, ...]]],
        told: dict[type[models.Model], Counter[tuple[Any, ...]]],
    ) -> Iterator[Difference]:
        for model in self._subscription.models:
            name = str(model._meta.verbose_name)
            for row in (standing[model] - told[model]).elements():
                yield Difference(name, self._tenant, row, {}, None)
            for row in (told[model] - standing[model]).elements():
                yield Difference(name, self._tenant, row, None, {})


def _said(model: type[models.Model]) -> list[str]:
    """What a row says: everything but the number that the database gave it."""
    return [
        field.attname
        for field in model._meta.concrete_fields
        if not isinstance(field, models.AutoField | models.BigAutoField)
    ]
