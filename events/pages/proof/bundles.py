"""An audit bundle: a form that says what shall be in it, and the file."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods

from events import registry, signing
from events.access import Principal, Right
from events.api.handover import handed_over
from events.log import read
from events.log.verify import Damaged
from events.moments import parse_rfc3339, rfc3339
from events.origin import context_of
from events.pages import parameters
from events.pages.fields import MomentField, PatternField
from events.pages.frame import render_page, require, tenant_page
from events.pages.proof.tabs import around
from events.patterns import Pattern
from events.ratelimits import limiter
from events.ratelimits.scopes import Scope
from events.signing import NoSigningKey
from events.tenants import Refused
from events.transfer import taking
from events.transfer.taking import Asked
from events.wanted import Wanted

LONGEST = 1_000
MOMENTS = ("since", "until")
PATTERNS = ("types", "agent", "actor", "correlation")


class BundleForm(forms.Form):
    """What of the log; nothing filled in is all of it."""

    since = MomentField(label="Since", required=False, help_text="Recorded then or later.")
    until = MomentField(label="Until", required=False, help_text="Recorded before then.")
    from_seq = forms.IntegerField(
        label="From seq", required=False, min_value=1, max_value=parameters.MAX_POSITION
    )
    to_seq = forms.IntegerField(
        label="To seq", required=False, min_value=1, max_value=parameters.MAX_POSITION
    )
    agent = PatternField(label="Agent", help_text="Ids between commas, or a beginning: eu-*")
    types = PatternField(
        label="Types", help_text="As AgentTask* or SignedIn,TokenIssued", attrs={"list": "types"}
    )
    actor = PatternField(label="Actor", help_text="As user:alice or token:*")
    correlation = PatternField(label="Correlation id", help_text="Of one chain of causes")
    q = forms.CharField(
        label="Text",
        required=False,
        max_length=LONGEST,
        help_text="Found in type, agent, actor, reason or data.",
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        for low, high in (("since", "until"), ("from_seq", "to_seq")):
            first, last = values.get(low), values.get(high)
            if first and last and first > last:
                self.add_error(high, "It lies before the beginning.")
        return values

    def asked(self) -> Asked:
        """Of a form that was cleaned."""
        values = {name: value for name, value in self.cleaned_data.items() if value}
        moments = {name: values[name] for name in MOMENTS if name in values}
        patterns = {name: values[name] for name in PATTERNS if name in values}
        wanted = Wanted(
            types=_pattern(patterns.get("types")),
            agent=_pattern(patterns.get("agent")),
            actor=_pattern(patterns.get("actor")),
            correlation=_pattern(patterns.get("correlation")),
            texts=(values["q"],) if "q" in values else (),
            **moments,
        )
        filters = {
            **patterns,
            **{name: rfc3339(moment) for name, moment in moments.items()},
            **({"q": values["q"]} if "q" in values else {}),
        }
        return Asked("bundle", wanted, filters, values.get("from_seq"), values.get("to_seq"))


def _pattern(text: str | None) -> Pattern | None:
    return Pattern.of(text) if text else None


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def bundle(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """The form, filled in as the address says; POST takes the file, which the log records."""
    require(request, principal, Right.AUDIT)
    if request.method != "POST":
        return _page(request, principal, BundleForm(initial=_initial(request)))
    form = BundleForm(request.POST)
    if not form.is_valid():
        return _page(request, principal, form, status=400)
    standing = limiter.spend(Scope.EXPORT, f"user:{request.user.pk}:{principal.tenant}")
    if standing is not None and not standing.is_allowed:
        return _too_many(request, principal, form, standing.retry_after_seconds)
    try:
        copy = taking.copy_of(principal.tenant, form.asked())
        chunks = copy.take(by=context_of(request, principal.actor))
    except (Refused, NoSigningKey, Damaged) as error:
        return _refused(request, principal, form, error)
    response = HttpResponse(content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="{copy.file_name}"'
    response.headers["X-Accel-Buffering"] = "no"  # nginx would put it all on its disk first
    return handed_over(request, response, chunks)


def _too_many(
    request: HttpRequest, principal: Principal, form: BundleForm, wait_seconds: int
) -> HttpResponse:
    form.add_error(None, f"You took many copies. Take the next in {wait_seconds} s.")
    response = _page(request, principal, form, status=HTTPStatus.TOO_MANY_REQUESTS)
    response.headers["Retry-After"] = str(wait_seconds)
    return response


def _refused(
    request: HttpRequest, principal: Principal, form: BundleForm, error: Exception
) -> HttpResponse:
    """The form as it was typed, and why there is no file."""
    field, words, status = None, str(error), HTTPStatus.CONFLICT
    if isinstance(error, Damaged):
        words = f"The log is damaged at seq {error.seq}: {error.why}"
    elif isinstance(error, NoSigningKey):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, Refused) and error.code == "invalid":
        field = "from_seq" if form.cleaned_data["from_seq"] else "to_seq"
        status = HTTPStatus.BAD_REQUEST
    form.add_error(field, words)
    return _page(request, principal, form, status=status)


def _page(
    request: HttpRequest, principal: Principal, form: BundleForm, *, status: int = 200
) -> HttpResponse:
    context = {
        **around("bundle", "Audit bundle"),
        "form": form,
        "types": registry.types(),
        "head": read.head(principal.tenant),
        "signs": signing.signer(),
    }
    return render_page(request, principal, "proof/bundle.html", context, status=status)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """As the address asks, so that a filtered timeline can lead here; nonsense is left out."""
    found: dict[str, Any] = {name: parameters.text(request, name) for name in (*PATTERNS, "q")}
    for name in ("from_seq", "to_seq"):
        found[name] = parameters.position(request, name)
    for name in MOMENTS:
        with suppress(ValueError):
            found[name] = parse_rfc3339(parameters.text(request, name))
    return {name: value for name, value in found.items() if value}
