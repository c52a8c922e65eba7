"""Alerts in the browser: the list, the story of one, and what an operator does about them."""

import uuid
from collections.abc import Callable
from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events.access import Principal, Right
from events.log import read
from events.models import Event
from events.origin import context_of
from events.pages import parameters
from events.pages.fields import LongText
from events.pages.frame import render_page, require, tenant_page
from events.patterns import BadPattern, Pattern
from events.tenants import Refused
from projections.alerts import alert_services, board, rule_services, rules
from projections.alerts.models import Alert, State
from projections.notify import deliveries
from projections.notify.deliveries import Delivery
from projections.notify.models import Channel, Digest, Notice

PAGE = 30
AROUND = 10  # events that are shown after the one that an alert began with


class Note(forms.Form):
    note = LongText(required=False)


class Resolution(forms.Form):
    reason = LongText()


@require_safe
@tenant_page
def alert_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """What is wrong first; `?state=`, `?rule=` and `?agent=` narrow, `?before=` goes on."""
    require(request, principal, Right.OVERSEE)
    filters = {name: parameters.text(request, name) for name in ("state", "rule", "agent")}
    before = parameters.text(request, "before")
    page = board.page(principal.tenant, _wanted(filters), after=_id_of(before), limit=PAGE)
    now = timezone.now()
    known = rules.all_of(principal.tenant)
    context = {
        "title": "Alerts",
        "section": "alerts",
        "filters": filters,
        "is_filtered": any(filters.values()),
        "states": list(State),
        "rules": list(known),
        "watching": sum(rule.enabled for rule in known.values()),
        "alerts": [Shown(alert, now) for alert in page.alerts],
        "may_acknowledge": principal.may(Right.OPERATE)
        and any(alert.state == State.OPEN for alert in page.alerts),
        "undelivered": [
            (digest, deliveries.state_of(digest), _address(principal, digest))
            for digest in deliveries.in_trouble(principal.tenant, now)
        ],
        "is_first": not before,
        "newest": parameters.link(request, before=None),
        "older": parameters.link(request, before=str(page.next)) if page.next else None,
    }
    return render_page(request, principal, "alerts/list.html", context)


@require_safe
@tenant_page
def alert_page(request: HttpRequest, principal: Principal, alert_id: uuid.UUID) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    return _alert(request, principal, _found(principal, alert_id))


@require_POST
@tenant_page
def acknowledge_several(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Those that were ticked; back to the list as it was."""
    require(request, principal, Right.OPERATE)
    chosen = [each for text in request.POST.getlist("alert")[:PAGE] if (each := _id_of(text))]
    note = request.POST.get("note", "").replace("\0", "").replace("\r\n", "\n").strip()
    refused = []
    for alert_id in chosen:
        try:
            _acknowledge(request, principal, alert_id, note)
        except Refused as refusal:
            refused.append(str(refusal))
    done = len(chosen) - len(refused)
    if not chosen:
        messages.error(request, "Tick the alerts that somebody cares for, and press it again.")
    if done:
        messages.success(request, f"{done} alert{'s' * (done != 1)} acknowledged.")
    for words in sorted(set(refused)):
        messages.error(request, f"{refused.count(words)} not acknowledged: {words}")
    return redirect("admin:alerts", principal.tenant)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def acknowledge(request: HttpRequest, principal: Principal, alert_id: uuid.UUID) -> HttpResponse:
    def act(form: forms.Form) -> str:
        _acknowledge(request, principal, alert_id, form.cleaned_data["note"])
        return "Acknowledged: it stands until it is over, and is not told again."

    return _change(request, principal, alert_id, Note, act)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def resolve(request: HttpRequest, principal: Principal, alert_id: uuid.UUID) -> HttpResponse:
    def act(form: forms.Form) -> str:
        alert_services.resolve_alert(
            tenant=principal.tenant,
            alert_id=alert_id,
            reason=form.cleaned_data["reason"],
            by=context_of(request, principal.actor),
        )
        return "Resolved. What comes after it opens a new alert."

    return _change(request, principal, alert_id, Resolution, act)


class Shown:
    """An alert and what a list says of it beside its own words."""

    def __init__(self, alert: Alert, now: datetime) -> None:
        self.alert = alert
        self._stood = (alert.resolved_at or now) - alert.opened_at

    @property
    def seconds(self) -> int:
        """How long it stood, or stands."""
        return max(0, int(self._stood.total_seconds()))

    @property
    def times(self) -> int:
        """How often it came."""
        return self.alert.recurrences + 1


def _wanted(filters: dict[str, str]) -> board.Wanted:
    """What cannot mean anything asks for nothing."""
    state = filters["state"]
    return board.Wanted(
        state=State(state) if state in State.values else None,
        rule=_pattern(filters["rule"]),
        agent=_pattern(filters["agent"]),
    )


def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern.of(text) if text else None
    except BadPattern:
        return None


def _id_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _found(principal: Principal, alert_id: uuid.UUID) -> Alert:
    try:
        return alert_services.get_alert(tenant=principal.tenant, alert_id=alert_id)
    except Refused:
        raise Http404 from None


def _acknowledge(
    request: HttpRequest, principal: Principal, alert_id: uuid.UUID, note: str
) -> None:
    alert_services.acknowledge_alert(
        tenant=principal.tenant,
        alert_id=alert_id,
        note=note,
        by=context_of(request, principal.actor),
    )


def _change(
    request: HttpRequest,
    principal: Principal,
    alert_id: uuid.UUID,
    kind: type[forms.Form],
    act: Callable[[forms.Form], str],
) -> HttpResponse:
    """Do it and lead back to the alert; a refusal is answered with its page, as it was typed."""
    alert = _found(principal, alert_id)
    if request.method != "POST":  # a reload after signing in, or somebody's bookmark
        return redirect("admin:alert", principal.tenant, alert_id)
    require(request, principal, Right.OPERATE)
    form = kind(request.POST)
    if not form.is_valid():
        return _alert(request, principal, alert, form, status=400)
    try:
        messages.success(request, act(form))
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        status = 400 if refused.code == "invalid" else 409
        return _alert(request, principal, _found(principal, alert_id), form, status=status)
    return redirect("admin:alert", principal.tenant, alert_id)


def _alert(
    request: HttpRequest,
    principal: Principal,
    alert: Alert,
    sent: forms.Form | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    tenant = principal.tenant
    head = read.head(tenant)
    told = deliveries.of(alert)
    rule = rules.find(tenant, alert.rule)
    context = {
        "title": alert.rule,
        "section": "alerts",
        "shown": Shown(alert, timezone.now()),
        "alert": alert,
        "rule": rule,
        "event": Event.objects.filter(tenant=tenant, event_id=alert.event_id).first()
        if alert.event_id
        else None,
        "around": min(alert.opened_seq + AROUND, head.seq if head else 0) + 1,
        "told": [(each, _address(principal, each.notice)) for each in told],
        "is_unreached": any(each.state == Delivery.GIVEN_UP for each in told)
        and not any(each.state == Delivery.SENT for each in told),
        "may_acknowledge": principal.may(Right.OPERATE) and alert.state == State.OPEN,
        "may_resolve": principal.may(Right.OPERATE) and alert.state != State.RESOLVED,
        "note": sent if isinstance(sent, Note) else Note(),
        "resolution": sent if isinstance(sent, Resolution) else Resolution(),
        "failed": sent,
    }
    return render_page(request, principal, "alerts/alert.html", context, status=status)


def _address(principal: Principal, told: Notice | Digest) -> str:
    """Whoever may not change a rule sees of its webhooks only where they lead, as in the API."""
    if told.channel == Channel.WEBHOOK and not principal.may(Right.OPERATE):
        return rule_services.origin(told.address)
    return told.address
