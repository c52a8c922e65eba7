"""A tenant's settings: columns of its row, each change a fact on the tenant's own stream."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TypedDict, Unpack

from django.conf import settings

from events import tenants, zones
from events.facts import JSON
from events.log import read
from events.log.proposal import Context
from events.models import Event, Tenant
from events.tenant_facts import SettingsChanged
from events.tenants import Refused

LEAST_DAYS = 7
MOST_DAYS = 36_500
# Of what is counted in longer buckets nothing is forgotten before what is counted in shorter ones:
# a range is put together of both.
STATISTICS = ("minute_statistics_days", "hour_statistics_days", "day_statistics_days")


class Settings(TypedDict, total=False):
    """What can be set, named as the columns of `events.models.Tenant`. Days: None is for ever."""

    name: str
    time_zone: str
    confidential_payloads: bool
    minute_statistics_days: int | None
    hour_statistics_days: int | None
    day_statistics_days: int | None
    ended_alerts_days: int | None


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
    _check_order({key: wanted.get(key, getattr(standing, key)) for key in STATISTICS})
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
    # For how long statistics are kept is one thing, since one of it bounds the other.
    looked_at = {*changed, *(STATISTICS if changed.keys() & set(STATISTICS) else ())}
    as_it_was = Tenant.objects.filter(
        slug=standing.slug, **{setting: getattr(standing, setting) for setting in looked_at}
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
    try:
        _check_order({key: told.get(key) for key in STATISTICS})
    except Refused:  # not by our own service, which refuses it
        told = {key: value for key, value in told.items() if key not in STATISTICS}
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


def _check_days(field: str) -> Callable[[JSON], None]:
    def check(value: JSON) -> None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_whole and LEAST_DAYS <= value <= MOST_DAYS):
            raise Refused(
                f"Kept for {LEAST_DAYS} to {MOST_DAYS:,} days, in whole days, or for ever.",
                field=field,
            )

    return check


def _check_order(days: Mapping[str, JSON]) -> None:
    """Raises Refused where longer buckets would be forgotten before shorter ones."""
    for shorter, longer in pairwise(STATISTICS):
        if days[longer] is not None and (days[shorter] is None or days[shorter] > days[longer]):
            raise Refused(
                "Statistics by minute are kept no longer than those by hour, and those by hour no "
                "longer than those by day: longer ranges are put together of them.",
                field=shorter,
                rule="statistics_kept_in_order",
            )


_CHECKS: dict[str, Callable[[JSON], None]] = {
    "name": _check_name,
    "time_zone": _check_time_zone,
    "confidential_payloads": _check_confidential,
    **{field: _check_days(field) for field in (*STATISTICS, "ended_alerts_days")},
}
