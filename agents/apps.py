from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Fleet"

    def ready(self) -> None:
        from agents import imports

        imports.listen()
