"""System checks of the log's promises; `check --database default` asks the database too."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from events.bus import event_bus
from events.confidential import keys
from events.log import guard
from events.models import PayloadKey, Tenant
from events.schemas import census
from events.schemas.faults import faults as schema_faults

OURS = "agentmesh"  # the tag of checks that need no database
SHOWN = 10  # tenants named in one message


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
            hint="Run manage.py migrate --skip-checks, which installs the triggers, and find out "
            "who removed them.",
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


def schemas_are_locked(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """events.E002, E003, E004: facts, casters and the schema lock do not fit together."""
    return [Error(fault.message, hint=fault.hint, id=fault.id) for fault in schema_faults()]


def the_log_is_known(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """events.E005: a log holds events of a type or version that this release cannot read."""
    if not databases or "default" not in databases:
        return []
    try:
        if not {"events_event", "events_tenanthead"} <= set(connection.introspection.table_names()):
            return []
        found = census.unknown_kinds()
    except DatabaseError:
        return []  # events.E001 says so
    return [
        Error(
            f"The log of {each.tenant} holds {each.kind}, which this release does not know"
            f" ({each.count} events in the logs looked at).",
            hint="Run a release that knows it, or bring its definition back from version control.",
            id="events.E005",
        )
        for each in found
    ]


def confidential_tenants_have_a_key(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """events.E006: a tenant's payloads are to be sealed, and there is no key to seal them with."""
    if not databases or "default" not in databases or settings.ENCRYPTION_KEYS:
        return []
    try:
        confidential = Tenant.objects.filter(confidential_payloads=True)
        slugs = list(confidential.values_list("slug", flat=True)[:SHOWN])
    except DatabaseError:
        return []  # not migrated yet, or it does not answer: events.E001 says so
    if not slugs:
        return []
    return [
        Error(
            f"The payloads of {', '.join(slugs)} are confidential, and no key is configured: "
            "commands with a payload are refused, and what is sealed cannot be read.",
            hint="Set AGENTMESH_ENCRYPTION_KEYS to the keys that were in use.",
            id="events.E006",
        )
    ]


def payload_keys_can_be_opened(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """events.W002: payloads are sealed under a key that is not among those configured here."""
    if not databases or "default" not in databases or not settings.ENCRYPTION_KEYS:
        return []  # without any key events.E006 speaks
    try:
        there = PayloadKey.objects.across_tenants().filter(wrapped__isnull=False)
        foreign = there.exclude(kek__in=keys.configured()).values_list("tenant_id", "kek")
        found = sorted(set(foreign.distinct()[:SHOWN]))
    except DatabaseError:
        return []  # not migrated yet, or it does not answer: events.E001 says so
    return [
        Warning(
            f"Payloads of {tenant} are sealed under the key {kek}, which is not configured here: "
            "they read as locked.",
            hint="Add that key to AGENTMESH_ENCRYPTION_KEYS, behind the one that is in use.",
            id="events.W002",
        )
        for tenant, kek in found
    ]


def register_all() -> None:
    register(the_log_is_guarded, Tags.database)
    register(subscriptions_have_names, OURS)
    register(schemas_are_locked, OURS)
    register(the_log_is_known, Tags.database)
    register(confidential_tenants_have_a_key, Tags.database)
    register(payload_keys_can_be_opened, Tags.database)
