"""The one way into the log.

    append(tenant, proposal, …)   decide first, then this; outermost, durable, all or nothing
    append_decided(tenant, decide)   the same for what has to be decided in the transaction

A command is one proposal and, when nobody listens in the transaction, one round trip. Many
proposals of one tenant (an import, a bulk request) share one transaction and one lock of the head.
"""

from collections.abc import Callable, Sequence
from functools import cache
from time import perf_counter
from typing import Protocol

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events import bus
from events.log.errors import NotTheOutermostTransaction
from events.log.proposal import Batch, Proposal, Sealed, seal
from events.log.result import Appended
from events.metrics import instruments, sharing

SINGLE_STATEMENT_EVENTS = 4  # the most that any one command of the aggregate records


def append(
    tenant: str, *proposals: Proposal, within: Callable[[], object] | None = None
) -> Appended:
    """Record the facts of `proposals`, in order, in the tenant's log; durable when it returns.

    `within` runs in the transaction before the log is written: for rows that change together with
    the facts. Receivers of `events_appended` run after it, and may veto by raising.

    Raises VersionConflict when a stream has moved on, RowRefused when a row of a proposal cannot be
    written, TenantUnknown, UnfitFact, NotTheOutermostTransaction. Nothing is written then.
    """
    database = _outermost()
    batch = [(proposal, seal(tenant, proposal)) for proposal in proposals]
    if not any(sealed for _, sealed in batch):
        raise ValueError("append needs at least one fact; a command that changes nothing skips it.")
    began = perf_counter()
    if within is None and _fits_one_statement(batch) and not bus.has_counsel():
        appended = _engine(database.vendor).append_one(database, tenant, *batch[0])
    else:
        appended = _in_transaction(database, tenant, batch, within)
    if sharing.is_asked():
        types = [fact.type for proposal, _ in batch for fact in proposal.facts]
        instruments.appended(types, perf_counter() - began)
    bus.announce(appended)
    return appended


def append_decided(
    tenant: str, decide: Callable[[], Sequence[Proposal]], *, undisturbed: bool
) -> Appended | None:
    """Record what `decide` proposes within the transaction; None when it proposes nothing.

    `decide` asks `events.bus.consult` about each proposal itself, so that it can do without one
    that is vetoed. undisturbed: no other append to this log happens meanwhile. That must not go
    together with receivers in the transaction: they take locks before the log's, not after.

    Raises what `append` raises, and what `decide` raises; nothing is written then.
    """
    database = _outermost()
    with transaction.atomic(durable=True):
        engine = _engine(database.vendor)
        if undisturbed:
            engine.lock(database, tenant)
        batch = [(proposal, seal(tenant, proposal)) for proposal in decide()]
        if not batch:
            return None
        appended = engine.append_many(database, tenant, batch)
    bus.announce(appended)
    return appended


def _outermost() -> BaseDatabaseWrapper:
    database = connections[DEFAULT_DB_ALIAS]  # once: each access to Django's proxy costs a lookup
    if database.connection is None:
        database.ensure_connection()
    if database.in_atomic_block or not database.autocommit:
        raise NotTheOutermostTransaction
    return database


def _in_transaction(
    database: BaseDatabaseWrapper,
    tenant: str,
    batch: Batch,
    within: Callable[[], object] | None,
) -> Appended:
    with transaction.atomic(durable=True):
        if within is not None:
            within()
        for proposal, _ in batch:
            bus.consult(tenant, proposal)
        engine = _engine(database.vendor)
        if _fits_one_statement(batch):
            return engine.append_one(database, tenant, *batch[0])
        return engine.append_many(database, tenant, batch)


def _fits_one_statement(batch: Batch) -> bool:
    return len(batch) == 1 and 0 < len(batch[0][1]) <= SINGLE_STATEMENT_EVENTS


class Engine(Protocol):
    """What an engine of the log has to do; the appends raise what `append` raises."""

    def lock(self, database: BaseDatabaseWrapper, tenant: str) -> None:
        """Let no other append of the tenant begin before the open transaction has ended."""

    def append_one(
        self,
        database: BaseDatabaseWrapper,
        tenant: str,
        proposal: Proposal,
        sealed: Sequence[Sealed],
    ) -> Appended: ...

    def append_many(
        self,
        database: BaseDatabaseWrapper,
        tenant: str,
        batch: Batch,
    ) -> Appended: ...


@cache
def _engine(vendor: str) -> Engine:
    if vendor == "postgresql":
        from events.log import postgresql

        return postgresql
    from events.log import sqlite

    return sqlite
