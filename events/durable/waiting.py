"""Where a subscription has something to do now: one question for all tenants, or for some."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections

from events.bus import Subscription
from events.durable.lease import Seen
from events.durable.registration import begin_everywhere
from events.durable.turn import Due
from events.log.cursor import Position

TENANTS_ASKED = 500  # beyond that, all are asked for


def due(subscription: Subscription, tenants: Collection[str] | None = None) -> Sequence[Due]:
    """Every log in which it has events to read, or a held stream to try again, and that nobody else
    reads for it now. `tenants` narrows it down to these."""
    rows = _ask(subscription.name, tenants)
    new = [tenant for tenant, _, pk, *_ in rows if pk is None]
    if new:
        begin_everywhere(subscription.name, new)
        rows = _ask(subscription.name, tenants)
    return [
        Due(
            Seen(
                pk,
                subscription.name,
                tenant,
                epoch,
                Position(seq, bytes(digest)),
                generation,
                failures,
            ),
            head,
        )
        for tenant, head, pk, epoch, seq, digest, generation, failures in rows
        if pk is not None
    ]


def _ask(name: str, tenants: Collection[str] | None) -> list[Any]:
    some = sorted(tenants) if tenants is not None and len(tenants) <= TENANTS_ASKED else None
    with connection.cursor() as cursor:
        narrowed = "" if some is None else f" AND h.tenant_id IN ({', '.join(['%s'] * len(some))})"
        cursor.execute(_question() + narrowed, [name, name, *(some or ())])
        found: list[Any] = cursor.fetchall()
    return found


@cache
def _question() -> str:
    now = (
        "statement_timestamp()"
        if connections[DEFAULT_DB_ALIAS].vendor == "postgresql"
        else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"
    )
    # A head below the checkpoint is a log that was replaced: reading on finds out and says so.
    return f"""
        SELECT h.tenant_id, h.seq, c.id, c.epoch, c.seq, c.hash, c.generation, c.failures
        FROM events_tenanthead h LEFT JOIN events_subscriptioncheckpoint c
            ON c.tenant_id = h.tenant_id AND c.subscription = %s
        WHERE (
            c.id IS NULL
            OR (
                c.stopped_reason IS NULL
                AND (c.leased_until IS NULL OR c.leased_until <= {now})
                AND (c.retry_at IS NULL OR c.retry_at <= {now})
                AND (
                    h.seq <> c.seq
                    OR EXISTS (
                        SELECT 1 FROM events_heldstream x
                        WHERE x.tenant_id = h.tenant_id AND x.subscription = %s
                            AND x.parked_at IS NULL AND x.retry_at <= {now}
                    )
                )
            )
        )
    """
