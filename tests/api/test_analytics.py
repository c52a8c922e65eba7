"""GET /analytics/tasks: how tasks ended, for whoever oversees the fleet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from events.log.read import head
from events.models import SubscriptionCheckpoint
from events.vocabulary import Usage
from projections.api import door
from tests.api.conftest import Caller, body_of
from tests.projections.analytics.histories import completed, created, failed, fold, store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RANGE = "since=2026-03-02T11:59:30Z&until=2026-03-02T12:01:30Z&bucket=minute"


@pytest.fixture
def counted(alice: Caller) -> Caller:
    """Alice, of whose tenant four ends of tasks have been counted."""
    usage = Usage(input_tokens=700, output_tokens=50)
    history = [
        created("a-one", "writer"),
        completed("a-one", NOON, 1200, usage),
        completed("a-one", NOON + MINUTE, 1200.5),
        failed("a-two", NOON + MINUTE),
        completed("a-one", NOON + 2 * MINUTE, 9000),  # after the range, in the same hour
    ]
    store(alice.tenant, fold(history))
    return alice


def test_the_statistics_are_given_per_bucket_agent_and_type(counted: Caller) -> None:
    found = body_of(counted.get(f"/analytics/tasks?{RANGE}"))

    assert (found["bucket"], found["since"]) == ("minute", "2026-03-02T11:59:00.000000Z")
    assert found["until"] == "2026-03-02T12:02:00.000000Z"
    assert (found["completed"], found["failed"], found["completion_rate"]) == (2, 1, 2 / 3)
    assert found["throughput_per_minute"] == 2 / 3
    times = found["execution_time_ms"]
    assert (times["min"], times["max"], times["mean"]) == (1200, 1200.5, 1200.25)
    assert all(1188 <= times[each] <= 1212.5 for each in ("p50", "p95", "p99"))
    assert found["tokens"] == {"input_tokens": 700, "output_tokens": 50}
    assert [(each["since"][11:16], each["completed"]) for each in found["buckets"]] == [
        ("11:59", 0),
        ("12:00", 1),
        ("12:01", 1),
    ]
    assert found["agents_since"] == "2026-03-02T11:00:00.000000Z"
    assert found["agents_until"] == "2026-03-02T13:00:00.000000Z"
    assert [(each["agent_id"], each["completed"]) for each in found["agents"]] == [
        ("a-one", 3),
        ("a-two", 0),
    ]
    assert found["agents"][0]["throughput_per_minute"] == 3 / 120
    assert [(each["agent_type"], each["failed"]) for each in found["types"]] == [
        ("writer", 0),
        ("", 1),
    ]
    assert found["other_agents"] == {"number": 0, "completed": 0, "failed": 0}


@pytest.mark.parametrize(
    ("bucket", "number"), [("", 25), ("?bucket=minute", 61), ("?bucket=day", 31)]
)
def test_without_a_range_it_is_of_the_time_that_one_usually_looks_at(
    alice: Caller, bucket: str, number: int
) -> None:
    found = body_of(alice.get(f"/analytics/tasks{bucket}"))

    assert len(found["buckets"]) in (number - 1, number)
    until = datetime.fromisoformat(found["until"])
    assert timedelta(0) <= until - timezone.now() <= timedelta(days=1)


def test_mallory_sees_the_zeros_that_she_would_see_without_acme(
    counted: Caller, mallory: Caller
) -> None:
    found = body_of(mallory.get(f"/analytics/tasks?{RANGE}"))
    foreign = mallory.get(f"/api/v1/tenants/{counted.tenant}/analytics/tasks?{RANGE}")
    nowhere = mallory.get(f"/api/v1/tenants/no-such-tenant/analytics/tasks?{RANGE}")

    assert (found["completed"], found["agents"], found["types"]) == (0, [], [])
    assert (foreign.status_code, foreign.content) == (404, nowhere.content)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("bucket=week", "bucket"),
        ("bucket=minute,hour", "bucket"),
        ("since=yesterday", "since"),
        ("until=2026-03-02T12:00:00", "until"),
        ("since=2026-03-02T12:00:00Z&until=2026-03-02T12:00:00Z", "since"),
        ("since=2020-01-01T00:00:00Z", "since"),
        ("until=9999-12-31T23:59:59Z&bucket=day", "until"),
        ("until=0001-01-01T00:00:00Z", "until"),
        ("min_seq=99999999", "min_seq"),
        ("by=agent", "by"),
    ],
)
def test_a_wrong_parameter_is_named(alice: Caller, query: str, parameter: str) -> None:
    response = alice.get(f"/analytics/tasks?{query}")

    assert response.status_code == 400
    (error,) = body_of(response)["errors"]
    assert error["parameter"] == parameter


def test_it_waits_until_min_seq_is_counted(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    end = head(alice.tenant)
    assert end is not None

    def count(_: float) -> None:
        SubscriptionCheckpoint.objects.create(
            subscription="analytics",
            tenant_id=alice.tenant,
            seq=end.seq,
            hash=end.hash,
            updated_at=timezone.now(),
        )

    monkeypatch.setattr("projections.api.door.time.sleep", count)

    response = alice.get(f"/analytics/tasks?min_seq={end.seq}")

    assert (response.status_code, response.headers["AgentMesh-Seq"]) == (200, str(end.seq))


def test_what_takes_too_long_to_be_counted_is_told_to_try_again(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "WAIT_SECONDS", 0.1)

    response = alice.get("/analytics/tasks?min_seq=1")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


def test_tokens_beyond_what_64_bits_hold_are_given_to_the_last_digit(alice: Caller) -> None:
    most: Any = 2**63 - 1
    store(alice.tenant, fold([completed("a-one", NOON, most, Usage(most, most))] * 3))

    response = alice.get(f"/analytics/tasks?{RANGE}")

    assert f'"input_tokens":{3 * most}' in response.content.decode()
    assert body_of(response)["execution_time_ms"]["max"] == most
