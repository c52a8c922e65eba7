"""When time will demand something of an agent, if nothing else happens to it: see `time_passes`."""

from datetime import UTC, datetime, timedelta

from agents.domain.state import Agent, Health, Intent


def due_at(agent: Agent) -> datetime | None:
    """The first moment at which `time_passes` leads to a fact, perhaps past; None for never."""
    if not agent.is_in_service:
        return None
    moments = []
    if agent.intent is Intent.PAUSED and agent.paused_until is not None:
        moments.append(_later(agent.paused_until))
    if agent.health is not Health.UNHEALTHY:
        moments.append(silent_at(agent))
    if agent.current_task_id is not None:
        lost_after = 2 * agent.health_check_timeout_seconds
        moments.append(_later(agent.seen_or_activated_at, lost_after))
    return min((moment for moment in moments if moment is not None), default=None)


def silent_at(agent: Agent) -> datetime | None:
    """The first moment at which an agent in service is silent for longer than its timeout."""
    if not agent.is_in_service:
        return None
    timeout = agent.health_check_timeout_seconds
    return _later(agent.seen_or_activated_at, timeout, microseconds=1)


def _later(moment: datetime, seconds: int = 0, microseconds: int = 0) -> datetime | None:
    """In UTC; None when the calendar ends before."""
    try:
        return moment.astimezone(UTC) + timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        return None
