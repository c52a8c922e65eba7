"""The week that the demo's fleet has behind it: a log like any other, and a story."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentmesh_site.demo.history import shifts, week
from agents.models import CurrentAgent
from agents.rebuild import compare
from events.confidential import reveal
from events.facts import utc_now
from events.log.verify import verify
from events.models import Event, Tenant
from events.transfer.importing import import_log

SPARSE = timedelta(hours=8)


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week with little in it is told and read in a fraction of the time."""
    for room, name in ((week, "BY_DAY"), (week, "BY_NIGHT"), (shifts, "BEAT")):
        monkeypatch.setattr(room, name, SPARSE)


def events_told(end: datetime) -> list[dict[str, Any]]:
    lines = week.tell("acme", "Acme", end).read().splitlines()
    assert lines[0].startswith(b'{"format":"agentmesh-log"')
    assert lines[-1].startswith(b'{"checkpoint":')
    return [json.loads(line) for line in lines[1:-1]]


@pytest.mark.usefixtures("committed_db", "_quiet")
def test_the_week_is_a_whole_log_that_ends_just_now(fresh_slug: Callable[[str], str]) -> None:
    slug, end = fresh_slug("acme"), utc_now()

    import_log(week.tell(slug, "Acme", end))

    events = Event.objects.filter(tenant=slug)
    assert list(compare(slug)[1]) == []
    assert verify(slug).seq == events.count()
    assert end - timedelta(seconds=60) < events.latest("seq").recorded_at <= end
    agents = CurrentAgent.objects.filter(tenant=slug)
    assert set(agents.values_list("status", flat=True)) == {"AVAILABLE", "PAUSED", "TERMINATED"}
    assert agents.get(agent_id=week.WORST).status == "PAUSED"
    assert Tenant.objects.get(slug=slug).confidential_payloads is False
    # Of the letter nobody has the key.
    letter = events.get(type="AgentTaskAssignedEvent", data__contains='"letter-4711"')
    (shown,) = reveal.of_rows([letter], plain=True).values()
    assert '"$confidential":"erased"' in shown
    assert "Sample Street" not in letter.data


def test_one_agent_failed_most_yesterday_and_bob_paused_it() -> None:
    events = events_told(datetime(2026, 3, 2, 15, tzinfo=UTC))

    yesterday = [each for each in events if each["recorded_at"].startswith("2026-03-01")]
    failed = [each for each in yesterday if each["type"] == "AgentTaskFailedEvent"]
    (worst, most), (_, next_most) = Counter(each["stream_id"] for each in failed).most_common(2)
    (paused,) = (each for each in yesterday if each["type"] == "AgentPausedEvent")
    assert worst == paused["stream_id"] == week.WORST
    assert most > 2 * next_most
    assert paused["actor"] == "user:bob"
    assert {each["type"] for each in events} >= {
        "AgentHealthCheckFailedEvent",
        "AgentResumedEvent",
        "SignInFailed",
        "AccessDenied",
        "MemberRemoved",
        "TokenRevoked",
        "LogExported",
        "PayloadErased",
    }


@pytest.mark.usefixtures("_quiet")
@pytest.mark.parametrize("end", ["2026-03-01T00:00:00", "2028-02-29T23:59:59.999999"])
def test_the_week_can_end_at_any_hour(end: str) -> None:
    ended = datetime.fromisoformat(end).replace(tzinfo=UTC)

    moments = [each["recorded_at"] for each in events_told(ended)]

    assert moments == sorted(moments)
    assert datetime.fromisoformat(moments[-1]) <= ended
