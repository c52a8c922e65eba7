"""How far each reader of the log is, what it could not go on with, and what a person does then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from events.access import Principal, Right
from events.bus import event_bus
from events.durable import held, resuming, status
from events.durable.status import Condition, HeldState, State
from events.log import read
from events.models import Event, Rebuild
from events.origin import context_of
from events.pages.confirmation import Confirmed
from events.pages.deeds import done
from events.pages.fields import OneLine
from events.pages.frame import require, tenant_page
from events.pages.integrations import render_integration
from events.pages.parameters import MAX_DIGITS, MAX_POSITION
from events.rebuilds import asking
from events.tenants import Refused
from events.worker import heartbeat

TAB = "subscriptions"
HELD_SHOWN = 100  # of each kind; many more are one fault, and their number says so
REBUILDS_SHOWN = 10
HEAD = "head"

WORDS = {
    Condition.STOPPED: ("stopped", "bad"),
    Condition.PARKED: ("parked", "bad"),
    Condition.GONE: ("not in this release", "warn"),
    Condition.RETRYING: ("retrying", "warn"),
    Condition.BEHIND: ("catching up", ""),
    Condition.UP_TO_DATE: ("up to date", "good"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the list. rebuild: the one that is waited for."""

    state: State
    rebuild: Rebuild | None

    @property
    def kind(self) -> str:
        if not self.state.is_here:
            return "unknown"
        return "projection" if self.state.is_projection else "reaction"

    @property
    def word(self) -> str:
        return WORDS[self.state.condition][0]

    @property
    def tone(self) -> str:
        return WORDS[self.state.condition][1]

    @property
    def lag_seconds(self) -> int:
        return round(self.state.lag_seconds)


@dataclass(frozen=True, slots=True)
class Held:
    """A stream that waits, and the event at which it does: None when the log has it no more."""

    state: HeldState
    event: Event | None

    @property
    def is_agent(self) -> bool:
        return self.state.stream_type == "agent"


class ReasonForm(forms.Form):
    reason = OneLine(most=held.REASON_LENGTH, help_text="It is kept, for whoever asks later.")


class RetryForm(forms.Form):
    stream = forms.CharField(widget=forms.HiddenInput)


class SkipForm(RetryForm):
    reason = OneLine(
        most=held.REASON_LENGTH, help_text="It is recorded in the log, with the event's seq."
    )


class ResumeForm(Confirmed):
    after = forms.CharField(
        label="Go on after",
        help_text="The last event that counts as read: a seq, 0 to begin with the first, or head "
        "to leave out all that there is.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    reason = OneLine(most=held.REASON_LENGTH, help_text="It is recorded in the log.")
    field_order = ("after", "reason", "confirm")

    def clean_after(self) -> str | int:
        after: str = self.cleaned_data["after"]
        if after == HEAD:
            return after
        if after.isascii() and after.isdigit() and len(after) <= MAX_DIGITS:
            seq = int(after)
            if seq <= MAX_POSITION:
                return seq
        raise forms.ValidationError("must be a seq, 0 or head.")


@require_safe
@tenant_page
def subscription_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    context = {
        "title": "Subscriptions",
        "standings": standings(principal.tenant),
        "unseen_seconds": heartbeat.age_seconds(),
    }
    return render_integration(request, principal, "events/subscriptions/list.html", TAB, context)


@require_safe
@tenant_page
def subscription_page(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    return _page(request, principal, found(principal, name))


@require_POST
@tenant_page
def retry(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """A parked stream is tried again, from the event that failed."""
    state = _changing(request, principal, name, Right.OPERATE)
    form = RetryForm(request.POST)

    def act() -> str:
        stream = form.cleaned_data["stream"]
        held.retry(principal.tenant, state.name, stream)
        return f"{stream} is tried again."

    return _ended(request, principal, state.name, form, act)


@require_POST
@tenant_page
def skip(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """A parked stream goes on after the one event that failed."""
    state = _changing(request, principal, name, Right.OPERATE)
    form = SkipForm(request.POST)

    def act() -> str:
        values = form.cleaned_data
        by = context_of(request, principal.actor, values["reason"])
        held.skip(principal.tenant, state.name, values["stream"], reason=values["reason"], by=by)
        return f"{values['stream']} goes on after that event. The log keeps that it was skipped."

    return _ended(request, principal, state.name, form, act, "skipping")


@require_POST
@tenant_page
def resume(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """A stopped subscription goes on where a person says."""
    state = _changing(request, principal, name, Right.ADMINISTER)
    form = ResumeForm(request.POST, expected=state.name)

    def act() -> str:
        values = form.cleaned_data
        seq = _head(principal.tenant) if values["after"] == HEAD else values["after"]
        by = context_of(request, principal.actor, values["reason"])
        resuming.let_go(principal.tenant, state.name, seq, reason=values["reason"], by=by)
        return f"{state.name} goes on after event {seq:,}."

    return _ended(request, principal, state.name, form, act, "resuming")


@require_POST
@tenant_page
def rebuild(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """The worker makes the projection's rows anew, beside those that are served meanwhile."""
    state = _changing(request, principal, name, Right.ADMINISTER)
    form = ReasonForm(request.POST)

    def act() -> str:
        reason = form.cleaned_data["reason"]
        asking.ask(principal.tenant, state.name, by=principal.actor, reason=reason)
        return f"{state.name} is rebuilt by the worker. Nothing has to stay open for that."

    return _ended(request, principal, state.name, form, act, "rebuilding")


def standings(tenant: str) -> Sequence[Standing]:
    """Every subscription of the tenant, those that need a person first, else by name."""
    waited_for = asking.open_ones(tenant)
    order = list(Condition)
    states = sorted(status.states(tenant), key=lambda each: order.index(each.condition))
    return [Standing(each, waited_for.get(each.name)) for each in states]


def found(principal: Principal, name: str) -> State:
    """The tenant's subscription; Http404 when it has none of this name."""
    state = status.state_of(principal.tenant, name)
    if state is None:
        raise Http404
    return state


def _changing(request: HttpRequest, principal: Principal, name: str, right: Right) -> State:
    """What shall be changed, by whoever may."""
    state = found(principal, name)
    require(request, principal, right)
    return state


def _ended(
    request: HttpRequest,
    principal: Principal,
    name: str,
    form: forms.Form,
    act: Callable[[], str],
    purpose: str = "",
) -> HttpResponse:
    """Back on the subscription's page: by a redirect when it was done, else with the form as it was
    typed, by what it is for."""
    if done(request, form, act):
        return redirect("admin:subscription", principal.tenant, name)
    sent = {purpose: form} if purpose else {}
    return _page(request, principal, found(principal, name), sent, status=400)


def _page(
    request: HttpRequest,
    principal: Principal,
    state: State,
    sent: Mapping[str, forms.Form] = {},
    status: int = 200,
) -> HttpResponse:
    """sent: the form that was refused, by what it is for: it is open, as it was typed."""
    subscription = event_bus.subscriptions.get(state.name)
    made = list(asking.of(principal.tenant, state.name)[:REBUILDS_SHOWN])
    waited_for = next((each for each in made if each.status in asking.OPEN), None)
    can_be_rebuilt = subscription is not None and asking.can_be_rebuilt(subscription)
    events = _events(principal.tenant, [*state.parked[:HELD_SHOWN], *state.retrying[:HELD_SHOWN]])
    context: dict[str, Any] = {
        "title": state.name,
        "standing": Standing(state, waited_for),
        "state": state,
        "subscription": subscription,
        "parked": [Held(each, events.get(each.seq)) for each in state.parked[:HELD_SHOWN]],
        "retrying": [Held(each, events.get(each.seq)) for each in state.retrying[:HELD_SHOWN]],
        "skip_form": SkipForm(auto_id=False),
        "rebuilds": [each for each in made if each.status not in asking.OPEN],
        "can_be_rebuilt": can_be_rebuilt,
        "shows_progress": subscription is not None and subscription.read_model is not None,
        "is_left": waited_for is not None and _is_left(waited_for),
        "resuming": None,
        "rebuilding": None,
        "skipping": None,
        "unseen_seconds": heartbeat.age_seconds(),
    }
    if principal.may(Right.ADMINISTER):
        if state.stopped_reason is not None:
            context["resuming"] = ResumeForm(expected=state.name)
        elif can_be_rebuilt and waited_for is None:
            context["rebuilding"] = ReasonForm(auto_id="rebuild-%s")
    template = "events/subscriptions/subscription.html"
    context |= {name: form for name, form in sent.items() if name == "skipping" or context[name]}
    return render_integration(request, principal, template, TAB, context, status=status)


def _is_left(rebuild: Rebuild) -> bool:
    """Whether the worker that was at it has not been heard of: another takes it up."""
    until = rebuild.leased_until
    return rebuild.status == Rebuild.Status.RUNNING and (until is None or until <= timezone.now())


def _events(tenant: str, streams: Sequence[HeldState]) -> dict[int, Event]:
    rows = Event.objects.filter(tenant=tenant, seq__in={each.seq for each in streams})
    return {row.seq: row for row in rows.only("event_id", "tenant_id", "seq", "type")}


def _head(tenant: str) -> int:
    head = read.head(tenant)
    if head is None:
        raise Refused(f"There is no tenant {tenant}.", "not_found")
    return head.seq
