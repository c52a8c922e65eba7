from django.apps import AppConfig


class PagerConfig(AppConfig):
    name = "examples.pager"

    def ready(self) -> None:
        from events.bus import event_bus
        from examples.pager.calls import handle_unhealthy_agent

        event_bus.subscribe("AgentHealthCheckFailedEvent", handle_unhealthy_agent, name="pager")
