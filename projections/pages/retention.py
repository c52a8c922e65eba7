"""For how long what is derived from the log is kept, and what that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from events import generations
from events.access import Principal, Right
from events.models import Tenant
from events.origin import context_of
from events.pages.confirmation import Confirmed
from events.pages.frame import render_page, require, tenant_page
from events.tenant_settings import LEAST_DAYS, MOST_DAYS, change_settings
from events.tenants import Refused
from projections.alerts.models import Alert, State
from projections.analytics import keeping
from projections.analytics.buckets import RESOLUTIONS, Resolution
from projections.analytics.readmodel import NAME
from projections.models import TaskStatisticsRow

BAD_REQUEST = 400
LABELS = {
    "minute_statistics_days": "Statistics by minute",
    "hour_statistics_days": "Statistics by hour",
    "day_statistics_days": "Statistics by day",
    "ended_alerts_days": "Alerts that are over",
}


class Retention(forms.Form):
    """Days, or nothing for as long as there is a log. Only what differs is changed."""

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        standing = {field: getattr(tenant, field) for field in LABELS}
        super().__init__(data, initial=standing)
        for field, label in LABELS.items():
            self.fields[field] = forms.IntegerField(
                label=f"{label}, in days",
                required=False,
                min_value=LEAST_DAYS,
                max_value=MOST_DAYS,
                show_hidden_initial=True,
                widget=forms.NumberInput({"placeholder": "for ever"}),
            )

    def changes(self) -> dict[str, int | None]:
        return {field: self.cleaned_data[field] for field in self.changed_data}


@dataclass(frozen=True, slots=True)
class Kept:
    """days: None for ever. oldest: of what is there. since: from when on all of it is there, None
    where that is the log's beginning."""

    label: str
    days: int | None
    oldest: datetime | None
    since: datetime | None


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def retention(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.ADMINISTER if request.method == "POST" else Right.OVERSEE)
    tenant = Tenant.objects.get(slug=principal.tenant)
    if request.method != "POST":
        return _page(request, principal, tenant)
    form = Retention(tenant, request.POST)
    if not form.is_valid():
        return _page(request, principal, tenant, form=form, status=BAD_REQUEST)
    changes = form.changes()
    # Only what takes something away has to be confirmed.
    confirmed = Confirmed(request.POST, expected=principal.tenant)
    if _takes_away(tenant, changes) and not confirmed.is_valid():
        return _page(request, principal, tenant, form=form, confirmed=confirmed, status=BAD_REQUEST)
    reason = confirmed.cleaned_data["reason"] if confirmed.is_valid() else None
    try:
        wanted: Any = changes
        done = change_settings(
            principal.tenant, by=context_of(request, principal.actor, reason), **wanted
        )
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        return _page(request, principal, tenant, form=form, status=BAD_REQUEST)
    messages.success(
        request,
        "It is kept so from now on; the worker deletes what is older."
        if done
        else "Nothing differed; it stands as it was.",
    )
    return redirect("admin:retention", principal.tenant)


def _takes_away(tenant: Tenant, changes: Mapping[str, int | None]) -> bool:
    for field, days in changes.items():
        standing = getattr(tenant, field)
        if days is not None and (standing is None or days < standing):
            return True
    return False


def _page(
    request: HttpRequest,
    principal: Principal,
    tenant: Tenant,
    *,
    form: Retention | None = None,
    confirmed: Confirmed | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "title": "Retention",
        "section": "settings",
        "tab": "retention",
        "kept": _kept(tenant),
        "form": form or Retention(tenant),
        "confirmed": confirmed,
        "now": timezone.now(),
    }
    return render_page(request, principal, "settings/retention.html", context, status=status)


def _kept(tenant: Tenant) -> list[Kept]:
    since = keeping.live_since(tenant.slug)
    statistics = [
        Kept(
            LABELS[f"{resolution}_statistics_days"],
            getattr(tenant, f"{resolution}_statistics_days"),
            _oldest_bucket(tenant.slug, resolution, since.get(resolution)),
            since.get(resolution),
        )
        for resolution in RESOLUTIONS
    ]
    alerts = Alert.objects.filter(tenant=tenant.slug, state=State.RESOLVED).order_by("id")
    oldest = alerts.values_list("opened_at", flat=True).first()
    return [
        *statistics,
        Kept(LABELS["ended_alerts_days"], tenant.ended_alerts_days, oldest, None),
    ]


def _oldest_bucket(tenant: str, resolution: Resolution, since: datetime | None) -> datetime | None:
    """Of those that count: the first entry of a stretch of the index."""
    rows = generations.live(TaskStatisticsRow, NAME, tenant).filter(
        resolution=resolution, kind="tenant"
    )
    if since is not None:
        rows = rows.filter(bucket__gte=since)
    return rows.order_by("bucket").values_list("bucket", flat=True).first()
