from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Fleet"

    def ready(self) -> None:
        from agents import imports, sweep
        from events import duties

        imports.listen()
        duties.sweep("health", every_seconds=sweep.EVERY_SECONDS, run=sweep.let_time_pass)
