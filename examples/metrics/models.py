from django.db import models


class AgentMetrics(models.Model):
    """One agent's completed tasks. Milliseconds."""

    tenant = models.CharField(max_length=63)
    agent_id = models.CharField(max_length=256)
    completed = models.BigIntegerField(default=0)
    execution_time_ms = models.FloatField(default=0)

    class Meta:
        constraints = [  # noqa: RUF012 -- as in Django's own documentation
            models.UniqueConstraint(fields=["tenant", "agent_id"], name="metrics_agent_once"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}/{self.agent_id}"
