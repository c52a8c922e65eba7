"""What the database knows, asked when somebody looks: lags, what is parked, ages.

A few queries, whatever the number of tenants; each answers with one number or one for each
subscription, the worst of all tenants.
"""

import math
from collections.abc import Iterator
from datetime import datetime

from django.db import connection
from django.db.models import Count, F, Max, Min, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from events.bus import Subscription, event_bus
from events.models import Event, HeldStream, SignedCheckpoint, SubscriptionCheckpoint, TenantHead
from events.worker import heartbeat


def metrics() -> Iterator[Metric]:
    """All of them. Raises DatabaseError."""
    yield from _lags()
    yield from _held()
    yield _stopped()
    yield _gauge(
        "agentmesh_chain_verified_age_seconds",
        "Time since the log that waits the longest had its last signed checkpoint, or was made.",
        _age(_verified_at()),
    )
    beat = heartbeat.age_seconds()
    yield _gauge(
        "agentmesh_worker_heartbeat_age_seconds",
        "Time since any worker last ran a sweep; +Inf when none ever did.",
        math.inf if beat is None else beat,
    )
    if connection.vendor == "postgresql":
        yield _connections()


def _lags() -> Iterator[Metric]:
    events = GaugeMetricFamily(
        "agentmesh_subscription_lag_events",
        "Events that the subscription has not read, in the log where it is furthest behind.",
        labels=["subscription"],
    )
    seconds = GaugeMetricFamily(
        "agentmesh_subscription_lag_seconds",
        "How long the oldest event that the subscription has not read has been in its log.",
        labels=["subscription"],
    )
    for name, subscription in sorted(event_bus.subscriptions.items()):
        most, since = _furthest_behind(subscription)
        events.add_metric([name], most or 0)
        seconds.add_metric([name], _age(since))
    yield events
    yield seconds


def _furthest_behind(subscription: Subscription) -> tuple[int | None, datetime | None]:
    checkpoints = SubscriptionCheckpoint.objects.across_tenants().filter(
        tenant=OuterRef("tenant"), subscription=subscription.name
    )
    # Without a checkpoint no worker has met it there: all is unread, or nothing from now on.
    unmet = 0 if subscription.start == "beginning" else F("seq")
    unread = (
        Event.objects.across_tenants()
        .filter(tenant=OuterRef("tenant"), seq=OuterRef("read") + 1)
        .values("recorded_at")
    )
    behind = (
        TenantHead.objects.across_tenants()
        .annotate(read=Coalesce(Subquery(checkpoints.values("seq")), unmet))
        .filter(seq__gt=F("read"))
        .annotate(since=Subquery(unread))
        .aggregate(most=Max(F("seq") - F("read")), oldest=Min("since"))
    )
    return behind["most"], behind["oldest"]


def _held() -> Iterator[Metric]:
    parked = GaugeMetricFamily(
        "agentmesh_subscription_parked_streams",
        "Streams that wait for a person, by subscription.",
        labels=["subscription"],
    )
    retrying = GaugeMetricFamily(
        "agentmesh_subscription_retrying_streams",
        "Streams that failed and are tried again by themselves, by subscription.",
        labels=["subscription"],
    )
    counts = HeldStream.objects.across_tenants().values("subscription")
    waits = Q(parked_at=None)
    rows = counts.annotate(parked=Count("pk", filter=~waits), retrying=Count("pk", filter=waits))
    found = {row["subscription"]: (row["parked"], row["retrying"]) for row in rows}
    for name in sorted({*found, *event_bus.subscriptions}):
        is_parked, is_retrying = found.get(name, (0, 0))
        parked.add_metric([name], is_parked)
        retrying.add_metric([name], is_retrying)
    yield parked
    yield retrying


def _stopped() -> Metric:
    stopped = GaugeMetricFamily(
        "agentmesh_subscription_stopped_logs",
        "Logs in which the subscription reads nothing until a person says where it goes on.",
        labels=["subscription"],
    )
    rows = (
        SubscriptionCheckpoint.objects.across_tenants()
        .exclude(stopped_reason=None)
        .values_list("subscription")
        .annotate(Count("pk"))
    )
    found = dict(rows)
    for name in sorted({*found, *event_bus.subscriptions}):
        stopped.add_metric([name], found.get(name, 0))
    return stopped


def _verified_at() -> datetime | None:
    """Of all logs with events, the earliest of their last verifications.

    A signed checkpoint is made of a head that was looked at; whoever verifies whole chains and
    keeps the moment adds it to the `Coalesce` here.
    """
    checkpoints = (
        SignedCheckpoint.objects.across_tenants()
        .filter(tenant=OuterRef("tenant"))
        .order_by("-seq", "-made_at")
        .values("made_at")[:1]
    )
    found: datetime | None = (
        TenantHead.objects.across_tenants()
        .filter(seq__gt=0)
        .annotate(at=Coalesce(Subquery(checkpoints), F("tenant__created_at")))
        .aggregate(earliest=Min("at"))["earliest"]
    )
    return found


def _connections() -> Metric:
    connections = GaugeMetricFamily(
        "agentmesh_database_connections",
        "Connections of all processes of AgentMesh to its database, by state.",
        labels=["state"],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = %s GROUP BY 1",
            [connection.settings_dict["OPTIONS"].get("application_name", "agentmesh")],
        )
        for state, number in cursor.fetchall():
            connections.add_metric([state.replace(" ", "_")], number)
    return connections


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (timezone.now() - since).total_seconds())


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)
