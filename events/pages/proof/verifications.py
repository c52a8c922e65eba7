"""Verifications: asking for one, watching it, and all that were asked for."""

import uuid

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from events.access import Principal, Right
from events.idempotency import Answer, Receipt
from events.models import Verification
from events.pages import parameters
from events.pages.frame import render_page, require, tenant_page
from events.pages.proof import told
from events.pages.proof.tabs import around
from events.verifications import asking

PAGE = 50


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def verifications(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The newest first; `?before=` goes on. POST asks for one, or finds the one that is open."""
    require(request, principal, Right.AUDIT if request.method == "POST" else Right.OVERSEE)
    if request.method == "POST":
        found = ask(principal)
        return redirect("admin:verification", principal.tenant, found.pk)
    before = parameters.text(request, "before")
    rows = list(_before(principal.tenant, before)[: PAGE + 1])
    context = {
        **around("verifications", "Verifications"),
        "verifications": [told.without_more(row) for row in rows[:PAGE]],
        "is_first": not before,
        "newest": parameters.link(request, before=None),
        "older": parameters.link(request, before=str(rows[PAGE - 1].pk)) if rows[PAGE:] else None,
    }
    return render_page(request, principal, "proof/verifications.html", context)


@require_safe
@tenant_page
def verification(
    request: HttpRequest, principal: Principal, verification_id: uuid.UUID
) -> HttpResponse:
    """One of them: a progress bar while it goes on, then what came of it."""
    require(request, principal, Right.OVERSEE)
    row = Verification.objects.filter(tenant=principal.tenant, pk=verification_id).first()
    if row is None:
        raise Http404
    context = {**around("verifications", "Verification"), "verification": told.of(row)}
    return render_page(request, principal, "proof/verification.html", context)


def ask(principal: Principal) -> Verification:
    """The verification that is open now, made where there was none."""
    return asking.ask(principal.tenant, by=principal.actor, receipt=_no_receipt())


def say_that_it_comes_first(request: HttpRequest, events: int) -> None:
    """Why somebody who asked for a checkpoint looks at a verification."""
    messages.info(
        request,
        f"{events:,} events came since the last checkpoint, and no key of ours vouches for what "
        f"was not verified. The worker does that now; the checkpoint is made at its end.",
    )


def _no_receipt() -> Receipt:
    return Receipt(lambda _: Answer(202, {}))


def _before(tenant: str, last_id: str) -> QuerySet[Verification]:
    """Those after the one with this id; all of them when there is none."""
    rows = asking.of(tenant)
    try:
        last = rows.filter(pk=uuid.UUID(last_id)).first()
    except ValueError:
        return rows
    if last is None:
        return rows
    at = last.requested_at
    return rows.filter(Q(requested_at__lt=at) | Q(requested_at=at, pk__lt=last.pk))
