"""A projection: rows and the checkpoint are one transaction, so each event counts exactly once,
from the first one in the log. `manage.py rebuild metrics` makes the rows anew."""

from django.db.models import F

from events.vocabulary import AgentTaskCompletedEvent
from examples.metrics.models import AgentMetrics


def record_task_metrics(event: AgentTaskCompletedEvent) -> None:
    """Add one task to its agent's row."""
    told = event.envelope
    if told is None:
        return  # it has not been in a log
    row, _ = AgentMetrics.objects.get_or_create(tenant=told.tenant, agent_id=event.agent_id)
    AgentMetrics.objects.filter(pk=row.pk).update(
        completed=F("completed") + 1,
        execution_time_ms=F("execution_time_ms") + event.execution_time_ms,
    )
