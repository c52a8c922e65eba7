"""In which time zone a person reads and types moments: UTC, the tenant's, or their device's.

The choice is kept in a cookie, since it belongs to the browser: whoever signs in elsewhere sits
elsewhere. Each page of a tenant is made with the zone as Django's current one.
"""

import zoneinfo
from contextlib import AbstractContextManager
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from events.zones import is_zone

COOKIE = "agentmesh_times"
KEPT_SECONDS = 365 * 24 * 3600
TENANT, UTC_CHOICE, DEVICE = "tenant", "utc", "device"


@dataclass(frozen=True, slots=True)
class Chosen:
    """choice: one of tenant, utc, device. zone: the one that follows from it."""

    choice: str
    zone: zoneinfo.ZoneInfo

    @property
    def name(self) -> str:
        return self.zone.key


def chosen(request: HttpRequest, tenant_zone: str) -> Chosen:
    """What the browser's cookie says; the tenant's zone when it says nothing that we know."""
    choice, _, name = request.COOKIES.get(COOKIE, "").partition(":")
    if choice == UTC_CHOICE:
        return Chosen(UTC_CHOICE, zoneinfo.ZoneInfo("UTC"))
    if choice == DEVICE and (zone := known(name)) is not None:
        return Chosen(DEVICE, zone)
    return Chosen(TENANT, known(tenant_zone) or zoneinfo.ZoneInfo("UTC"))


def known(name: str) -> zoneinfo.ZoneInfo | None:
    """The zone of this IANA name; None when there is none, whatever the name holds."""
    return zoneinfo.ZoneInfo(name) if is_zone(name) else None


def reading(zone: zoneinfo.ZoneInfo) -> AbstractContextManager[None]:
    """While it is open, moments are shown and typed in the zone."""
    return timezone.override(zone)


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the choice of the pressed button and go back to the page. What means nothing keeps
    nothing."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/"
    response = redirect(back)
    match request.POST.get("times"):
        case "utc" | "tenant":
            kept = request.POST["times"]
        case "device" if known(name := request.POST.get("device_zone", "")):
            kept = f"{DEVICE}:{name}"
        case _:
            return response
    response.set_cookie(
        COOKIE,
        kept,
        max_age=KEPT_SECONDS,
        httponly=True,
        secure=request.is_secure(),
        samesite="Lax",
    )
    return response
