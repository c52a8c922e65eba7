from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "examples.metrics"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from events.bus import event_bus
        from examples.metrics.models import AgentMetrics
        from examples.metrics.recording import record_task_metrics

        event_bus.project(
            "AgentTaskCompletedEvent", record_task_metrics, name="metrics", models=[AgentMetrics]
        )
