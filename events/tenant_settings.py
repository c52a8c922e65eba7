"""A tenant's settings: columns of its row, each change a fact on the tenant's own stream."""

from collections.abc import Callable, Mapping
from typing import TypedDict, Unpack

from django.conf import settings

from events import tenants, zones
from events.facts import JSON
from events.log import read
from events.log.proposal import Context
from events.models import Event, Tenant
from events.tenant_facts import SettingsChanged
from events.tenants import Refused


class Settings(TypedDict, total=False):
    """What can be set, named as the columns of `events.models.Tenant`."""

    name: str
    time_zone: str
    confidential_payloads: bool


def change_settings(tenant: str, *, by: Context, **wanted: Unpack[Settings]) -> Settings:
    """Set what is given; returns what that changed, which is nothing where it stood so already.

    What is sealed stays so, and a command under way at this moment may still go by the old
    settings. Raises Refused, also where no key is configured that could seal.
    """
    standing = Tenant.objects.filter(slug=tenant).first()
    if standing is None:
        raise Refused(f"There is no tenant {tenant!r}.", "not_found")
    for setting, value in wanted.items():
        _CHECKS[setting](value)
    changed = {key: value for key, value in wanted.items() if getattr(standing, key) != value}
    if changed.get("confidential_payloads") and not settings.ENCRYPTION_KEYS:
        raise Refused(
            "No key is configured that could encrypt payloads. Set AGENTMESH_ENCRYPTION_KEYS to "
            "32 random bytes in base64 (`openssl rand -base64 32`), and keep it safe.",
            field="confidential_payloads",
        )
    if changed:
        _record(standing, changed, by)
    return changed  # type: ignore[return-value]  # a part of `wanted`


def _record(standing: Tenant, changed: Mapping[str, JSON], by: Context) -> None:
    as_it_was = Tenant.objects.filter(
        slug=standing.slug, **{setting: getattr(standing, setting) for setting in changed}
    )

    def write() -> None:
        if not as_it_was.update(**changed):
            raise Refused(
                f"The settings of {standing.slug} were changed by somebody else. Look again.",
                "conflict",
            )

    tenants.record(standing.slug, SettingsChanged(changed=dict(changed)), by=by, within=write)


def apply_settings_told(tenant: str) -> None:
    """Set the tenant's settings as the facts of its log leave them: for a log that was imported.

    Where payloads were confidential, none is stored in plain here, whether or not there is a key.
    What this installation cannot set, such as a time zone it does not know, stays as it is.
    """
    facts = Event.objects.filter(
        tenant=tenant,
        stream_type=tenants.STREAM,
        stream_id=tenant,
        type=SettingsChanged.wire_type(),
    )
    told: dict[str, JSON] = {}
    for row in facts.order_by("version").iterator():
        changed = getattr(read.fact(row), "changed", {})
        told |= {setting: value for setting, value in changed.items() if _fits(setting, value)}
    if told:
        Tenant.objects.filter(slug=tenant).update(**told)


def _fits(setting: str, value: JSON) -> bool:
    try:
        _CHECKS[setting](value)
    except (KeyError, Refused):
        return False
    return True


def _check_name(value: JSON) -> None:
    if not isinstance(value, str):
        raise Refused("A tenant's name is a text.", field="name")
    tenants.check_name(value)


def _check_time_zone(value: JSON) -> None:
    if not isinstance(value, str) or not zones.is_zone(value):
        raise Refused(
            f"There is no time zone {value!r}. Use a name such as Europe/Berlin or UTC.",
            field="time_zone",
        )


def _check_confidential(value: JSON) -> None:
    if not isinstance(value, bool):
        raise Refused("Payloads are confidential or they are not.", field="confidential_payloads")


_CHECKS: dict[str, Callable[[JSON], None]] = {
    "name": _check_name,
    "time_zone": _check_time_zone,
    "confidential_payloads": _check_confidential,
}
