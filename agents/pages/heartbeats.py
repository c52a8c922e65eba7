"""An agent's newest heartbeats as charts: how fast it answered, and what it used.

They are read from the agent's own stream, where a look at the newest EXAMINED events is bounded
however long the history is; no read model keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.current import STREAM, Loaded
from events.log.read import told
from events.models import Event
from events.pages.charts import charts
from events.pages.charts.charts import Chart, Series
from events.pages.charts.times import Times
from events.pages.charts.units import MILLISECONDS, PERCENT
from events.vocabulary import AgentHealthCheckPassedEvent

EXAMINED = 500  # events
MOST = 100  # heartbeats: a picture of more takes longer than all the rest of the page
HEARTBEAT = AgentHealthCheckPassedEvent.wire_type()


@dataclass(frozen=True, slots=True)
class Pictures:
    """number: of the heartbeats shown. since: of the first of them; None where there is none.
    is_all: whether the range of time that was asked for has no others."""

    number: int
    since: datetime | None
    is_all: bool
    response: Chart
    load: Chart


def pictures(loaded: Loaded, since: datetime, now: datetime) -> Pictures:
    """The newest heartbeats that were recorded after `since`."""
    tenant, agent = loaded.agent.tenant_id, loaded.agent
    stream = Event.objects.filter(tenant=tenant, stream_type=STREAM, stream_id=agent.agent_id)
    lowest = loaded.version - EXAMINED
    newest = stream.filter(version__gt=lowest, type=HEARTBEAT, recorded_at__gte=since)
    facts = [each.fact for each in told(newest.order_by("-version")[:MOST])]
    beats = [each for each in facts if isinstance(each, AgentHealthCheckPassedEvent)][::-1]
    first = beats[0].checked_at if beats else None
    silence = timedelta(seconds=agent.health_check_timeout_seconds)
    times, known = _with_gaps(beats, silence)
    axis = Times(min(first or since, now - silence), now, times)

    def line(name: str, look: str, field: str, whole: float = 1.0) -> Series:
        values = [None if each is None else getattr(each, field) / whole for each in known]
        return Series(name, look, values)

    return Pictures(
        number=len(beats),
        since=first,
        is_all=len(beats) < MOST and lowest <= 0,
        response=charts.lines(
            "response",
            "Response time",
            axis,
            MILLISECONDS,
            [line("response time", "first", "response_time_ms")],
        ),
        load=charts.lines(
            "load",
            "CPU and memory",
            axis,
            PERCENT,
            [
                line("CPU", "first", "cpu_usage_percent", 100.0),
                line("memory", "second", "memory_usage_percent", 100.0),
            ],
        ),
    )


def _with_gaps(
    beats: Sequence[AgentHealthCheckPassedEvent], silence: timedelta
) -> tuple[list[datetime], list[AgentHealthCheckPassedEvent | None]]:
    """When, and what; nothing is known of the middle of a silence, so that the line breaks."""
    times: list[datetime] = []
    known: list[AgentHealthCheckPassedEvent | None] = []
    for beat in beats:
        if times and beat.checked_at - times[-1] > silence:
            times.append(times[-1] + (beat.checked_at - times[-1]) / 2)
            known.append(None)
        times.append(beat.checked_at)
        known.append(beat)
    return times, known
