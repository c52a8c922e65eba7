"""Saved views on the timeline: whoever operates keeps a query for all, changes or deletes it."""

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from events import saved_views
from events.access import Principal, Right
from events.facts import utc_now
from events.idempotency import Answer, Receipt
from events.models import SavedView
from events.pages.frame import require, tenant_page
from events.pages.timeline.asking import MOST_TYPED, asking_text
from events.tenants import Refused

Act = Callable[[], SavedView | None]


@require_POST
@tenant_page
def save_view(request: HttpRequest, principal: Principal) -> HttpResponse:
    """name, and q: the query, which is kept as it means the same to everybody."""
    require(request, principal, Right.OPERATE)
    name, text = request.POST.get("name", "").strip(), _text(request)

    def act() -> SavedView:
        return saved_views.create(
            principal.tenant,
            name=name,
            query=_query(principal, text),
            by=principal.actor,
            receipt=_receipt(),
        )

    return _done(request, principal, act, f"{name} is kept for everybody in {principal.tenant}.")


@require_POST
@tenant_page
def change_view(request: HttpRequest, principal: Principal, view_id: uuid.UUID) -> HttpResponse:
    """do: `save` makes the view ask q from now on, `delete` takes it away."""
    require(request, principal, Right.OPERATE)
    view = saved_views.of(principal.tenant).filter(pk=view_id).first()
    if view is None:
        raise Http404
    tenant, name, text = principal.tenant, view.name, _text(request)
    if request.POST.get("do") == "delete":

        def delete() -> None:
            saved_views.delete(tenant, view_id, receipt=_receipt())

        return _done(request, principal, delete, f"{name} is deleted.")

    def change() -> SavedView:
        return saved_views.change(
            tenant,
            view_id,
            query=_query(principal, text),
            by=principal.actor,
            receipt=_receipt(),
        )

    return _done(request, principal, change, f"{name} asks this from now on.")


def _done(request: HttpRequest, principal: Principal, act: Act, said: str) -> HttpResponse:
    """Back on the page: at the view, or where one was when nothing could be kept."""
    page = reverse("admin:events", args=[principal.tenant])
    try:
        view = act()
    except Refused as refused:
        messages.error(request, f"Nothing was kept. {refused}")
        return redirect(f"{page}?{urlencode({'q': _text(request)})}")
    messages.success(request, said)
    return redirect(f"{page}?{urlencode({'view': str(view.pk)})}" if view else page)


def _query(principal: Principal, text: str) -> dict[str, str]:
    """What the view is to hold. Raises Refused for a text that means nothing."""
    asking = asking_text(principal, text, utc_now())
    if asking.asked is None:
        raise Refused(" ".join(fault.message for fault in asking.faults), field="query")
    kept = str(asking.asked.shared)
    return {"query": kept} if kept else {}


def _text(request: HttpRequest) -> str:
    return request.POST.get("q", "").strip()[:MOST_TYPED]


def _receipt() -> Receipt:
    return Receipt(lambda _: Answer(200, {}))
