"""System checks of the log's promises; `check --database default` asks the database too."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from events.bus import event_bus
from events.log import guard


def the_log_is_guarded(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """events.E001: a trigger that keeps the log append-only is missing or disabled."""
    if not databases or "default" not in databases:
        return []
    try:
        if "events_event" not in connection.introspection.table_names():
            return []  # nothing to guard before the first migrate
        faults = guard.faults()
    except DatabaseError as error:
        faults = [f"The database does not answer: {error}"]
    return [
        Error(
            fault,
            hint="Run manage.py migrate, which installs the triggers, and find out who removed it.",
            id="events.E001",
        )
        for fault in faults
    ]


def subscriptions_have_names(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """events.W001: a subscription without a name starts a new checkpoint when its handler moves."""
    return [
        Warning(
            f"The subscription {subscription.name} has no name of its own.",
            hint='Pass name="…" to subscribe, so that the handler can be renamed.',
            id="events.W001",
        )
        for subscription in event_bus.subscriptions.values()
        if not subscription.named
    ]


def register_all() -> None:
    register(the_log_is_guarded, Tags.database)
    register(subscriptions_have_names)
