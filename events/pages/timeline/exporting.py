"""A copy of exactly what the timeline shows: the same query, up to the same event, as a file."""

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from events.access import Principal, Right
from events.api.export import head_of
from events.api.handover import handed_over
from events.facts import utc_now
from events.log import read
from events.moments import parse_rfc3339
from events.origin import context_of
from events.pages.frame import require, tenant_page
from events.pages.timeline.asking import MOST_TYPED, asking_text
from events.ratelimits.limiter import spend
from events.ratelimits.scopes import Scope
from events.transfer import taking

FORMATS = ("jsonl", "csv")  # a bundle has a page of its own
MAX_DIGITS = 19


@require_POST
@tenant_page
def export_shown(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """q: the query; asked_at: when it was asked, for what it says of the clock; to_seq: the last
    event that was there then; format: jsonl or csv. Recorded as a fact."""
    require(request, principal, Right.AUDIT)
    text = request.POST.get("q", "").strip()[:MOST_TYPED]
    try:
        asked_at = parse_rfc3339(request.POST.get("asked_at", ""))
    except ValueError:
        asked_at = utc_now()
    asked = asking_text(principal, text, asked_at).asked
    ending, to_seq = request.POST.get("format", "jsonl"), _seq(principal, request)
    if asked is None or ending not in FORMATS or to_seq is None:
        return _back(
            request, principal, text, "Nothing was exported. Reload the page, and try again."
        )
    standing = spend(Scope.EXPORT, f"user:{request.user.pk}:{principal.tenant}")
    if standing is not None and not standing.is_allowed:
        wait = standing.retry_after_seconds
        return _back(request, principal, text, f"Too many copies. Try again in {wait} s.")
    copy = taking.copy_of(
        principal.tenant, taking.Asked(ending, asked.wanted, asked.filters, to_seq=to_seq)
    )
    chunks = copy.take(by=context_of(request, principal.actor))
    return handed_over(request, head_of(copy), chunks)


def _seq(principal: Principal, request: HttpRequest) -> int | None:
    """The end that was asked for; None when the log has no such event."""
    given, head = request.POST.get("to_seq", ""), read.head(principal.tenant)
    if head is None or not (given.isascii() and given.isdigit() and len(given) <= MAX_DIGITS):
        return None
    return int(given) if 1 <= int(given) <= head.seq else None


def _back(request: HttpRequest, principal: Principal, text: str, said: str) -> HttpResponseBase:
    messages.error(request, said)
    query = f"?{urlencode({'q': text})}" if text else ""
    return redirect(reverse("admin:events", args=[principal.tenant]) + query)
