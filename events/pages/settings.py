"""A tenant's settings: what it is called, in which zone its times are shown, whether its payloads
are confidential. The other parts of the settings stand beside it, each a page."""

from functools import cache
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from events import zones
from events.access import Principal, Right
from events.models import Tenant
from events.origin import context_of
from events.pages.confirmation import Confirmed
from events.pages.frame import render_page, require, tenant_page
from events.tenant_settings import change_settings
from events.tenants import TENANT_NAME_LENGTH, Refused

BAD_REQUEST = 400
# Whose places are suggested.
REGIONS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@cache
def offered_zones() -> tuple[str, ...]:
    """UTC and the zones of places; what else there is can be typed too."""
    return ("UTC", *(name for name in zones.names() if name.partition("/")[0] in REGIONS))


class General(forms.Form):
    """Only what differs from what the person saw is changed."""

    name = forms.CharField(
        max_length=TENANT_NAME_LENGTH,
        show_hidden_initial=True,
        help_text="What people read. The slug is the tenant's name in every address, and stays.",
    )
    time_zone = forms.CharField(
        label="Time zone",
        show_hidden_initial=True,
        # A list of suggestions: as a choice, its six hundred options took most of the page's time.
        widget=forms.TextInput({"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
        help_text="In which times are shown and typed, unless a person chooses otherwise. The log "
        "keeps UTC, and statistics are of days of UTC.",
    )

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        initial = {"name": tenant.name, "time_zone": tenant.time_zone}
        super().__init__(data, initial=initial)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def general(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.ADMINISTER if request.method == "POST" else Right.OVERSEE)
    tenant = Tenant.objects.get(slug=principal.tenant)
    if request.method != "POST":
        return _page(request, principal, tenant)
    form = General(tenant, request.POST)
    if not form.is_valid():
        return _page(request, principal, tenant, form=form, status=BAD_REQUEST)
    wanted: Any = {field: form.cleaned_data[field] for field in form.changed_data}
    try:
        changed = change_settings(
            principal.tenant, by=context_of(request, principal.actor), **wanted
        )
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        return _page(request, principal, tenant, form=form, status=BAD_REQUEST)
    messages.success(
        request,
        "The settings are changed." if changed else "Nothing differed; it stands as it was.",
    )
    return redirect("admin:settings", principal.tenant)


@require_POST
@tenant_page
def confidential(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Payloads are sealed from now on, or no longer: `payloads` says which, on or off."""
    require(request, principal, Right.ADMINISTER)
    tenant = Tenant.objects.get(slug=principal.tenant)
    wanted = {"on": True, "off": False}.get(request.POST.get("payloads", ""))
    form = Confirmed(request.POST, expected=principal.tenant)
    if not form.is_valid() or wanted is None:
        return _page(request, principal, tenant, sealing=form, status=BAD_REQUEST)
    by = context_of(request, principal.actor, form.cleaned_data["reason"])
    try:
        change_settings(principal.tenant, confidential_payloads=wanted, by=by)
    except Refused as refused:
        messages.error(request, str(refused))  # without a key the page has no such form
        return _page(request, principal, tenant, sealing=form, status=BAD_REQUEST)
    words = "sealed from now on" if wanted else "stored in plain from now on"
    messages.success(request, f"New payloads are {words}.")
    return redirect("admin:settings", principal.tenant)


def _page(
    request: HttpRequest,
    principal: Principal,
    tenant: Tenant,
    *,
    form: General | None = None,
    sealing: Confirmed | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "title": "Settings",
        "section": "settings",
        "tab": "general",
        "tenant": tenant,
        "form": form or General(tenant),
        "sealing": sealing or Confirmed(expected=tenant.slug),
        "zones": offered_zones() if principal.may(Right.ADMINISTER) else (),
        "has_key": bool(settings.ENCRYPTION_KEYS),
    }
    return render_page(request, principal, "settings/general.html", context, status=status)
