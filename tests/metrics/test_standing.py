"""What the database knows, as numbers: the worst of all tenants, in a few queries."""

import math
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from events import tenants
from events.bus import Subscription, event_bus
from events.durable.catching_up import catch_up
from events.log.append import append
from events.metrics import standing
from events.models import Duty, HeldStream, SignedCheckpoint, Tenant
from tests.log.sample import heartbeats, proposed
from tests.pristine import Pristine
from tests.scratch import another_database, connected_to


@pytest.fixture(scope="module")
def whole_database(
    django_db_setup: Pristine,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The name of a database of these tests alone: its figures are the worst of all its tenants."""
    with another_database("standing", django_db_setup, django_db_blocker, tmp_path_factory) as name:
        yield name


@pytest.fixture(autouse=True)
def in_whole_database(whole_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), connected_to(whole_database):
        yield


@pytest.fixture
def name() -> str:
    """A subscription's that no worker has met."""
    return f"tests.{uuid.uuid4().hex[:12]}"


@pytest.fixture
def acme(in_whole_database: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(in_whole_database: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


@pytest.fixture
def watched(name: str) -> Iterator[Subscription]:
    yield event_bus.subscribe("*", lambda _: None, name=name, start="beginning")
    event_bus.unsubscribe(name)


def figure(name: str, label: str | None = None) -> float:
    (value,) = (
        sample.value
        for family in standing.metrics()
        for sample in family.samples
        if sample.name == f"agentmesh_{name}" and (label is None or label in sample.labels.values())
    )
    return value


def test_a_lag_is_that_of_the_tenant_that_is_furthest_behind(
    acme: str, globex: str, name: str, watched: Subscription
) -> None:
    append(acme, proposed(*heartbeats(2)))
    append(globex, proposed(*heartbeats(500)))
    assert figure("subscription_lag_events", name) >= 500  # no worker has met it yet
    catch_up(watched)
    assert figure("subscription_lag_events", name) == 0
    assert figure("subscription_lag_seconds", name) == 0

    append(acme, proposed(*heartbeats(3), version=2))

    assert figure("subscription_lag_events", name) == 3
    assert 0 < figure("subscription_lag_seconds", name) < 60


def test_a_subscription_that_begins_now_lags_nowhere_before_a_worker_has_met_it(
    acme: str, name: str
) -> None:
    event_bus.subscribe("*", lambda _: None, name=name)
    try:
        append(acme, proposed(*heartbeats(2)))

        assert figure("subscription_lag_events", name) == 0
    finally:
        event_bus.unsubscribe(name)


@pytest.mark.usefixtures("watched")
def test_what_waits_for_a_person_is_counted_apart_from_what_is_tried_again(
    acme: str, name: str
) -> None:
    now = timezone.now()
    for number, parked_at in enumerate((now, now, None)):
        HeldStream.objects.create(
            subscription=name,
            tenant_id=acme,
            stream_type="agent",
            stream_id=f"a-{number}",
            version=1,
            seq=1,
            attempts=1,
            last_error="it fails",
            parked_at=parked_at,
        )

    assert figure("subscription_parked_streams", name) == 2
    assert figure("subscription_retrying_streams", name) == 1


def test_the_chains_age_is_that_of_the_log_that_waits_the_longest(
    acme: str, globex: str, fresh_slug: Callable[[str], str]
) -> None:
    now = timezone.now()
    for tenant, hours in ((acme, 1), (acme, 9), (globex, 5)):
        append(tenant, proposed(*heartbeats(1), agent_id=f"a-{hours}"))
        SignedCheckpoint.objects.create(
            tenant_id=tenant, seq=10 - hours, note="-", made_at=now - timedelta(hours=hours)
        )
    assert figure("chain_verified_age_seconds") == pytest.approx(5 * 3600, abs=60)

    unverified = tenants.create_tenant(fresh_slug("unverified"))
    Tenant.objects.filter(pk=unverified.pk).update(created_at=now - timedelta(hours=7))
    append(unverified.slug, proposed(*heartbeats(1)))

    assert figure("chain_verified_age_seconds") == pytest.approx(7 * 3600, abs=60)


def test_the_heartbeat_is_the_newest_sweep_and_infinitely_old_without_any() -> None:
    Duty.objects.all().delete()
    assert figure("worker_heartbeat_age_seconds") == math.inf
    now = timezone.now()
    for name, seconds in (("a", 50), ("b", 20), ("never ran", None)):
        ran_at = None if seconds is None else now - timedelta(seconds=seconds)
        Duty.objects.create(name=name, next_at=now, ran_at=ran_at)

    assert figure("worker_heartbeat_age_seconds") == pytest.approx(20, abs=10)


def test_the_number_of_queries_does_not_grow_with_the_tenants(
    fresh_slug: Callable[[str], str], watched: Subscription
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            list(standing.metrics())
        return len(captured)

    before = queries()
    for _ in range(5):
        append(tenants.create_tenant(fresh_slug("more")).slug, proposed(*heartbeats(2)))

    assert queries() == before <= len(event_bus.subscriptions) + 5
