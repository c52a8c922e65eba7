from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Event log"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from events import checks, duties, idempotency, sessions, signin
        from events.confidential import arrived
        from events.durable import registration
        from events.log import guard
        from events.rebuilds import sweep as rebuilds
        from events.verifications import sweep

        post_migrate.connect(guard.after_migrate, sender=self, dispatch_uid="events.guard")
        checks.register_all()
        signin.listen()
        registration.listen()
        arrived.listen()
        duties.sweep("verifications", every_seconds=sweep.EVERY_SECONDS, run=sweep.go_on)
        duties.sweep("kept-answers", every_seconds=600, run=idempotency.forget_expired)
        duties.sweep("expired-sessions", every_seconds=3600, run=sessions.forget_expired)
        duties.sweep("rebuilds", every_seconds=rebuilds.EVERY_SECONDS, run=rebuilds.go_on)
