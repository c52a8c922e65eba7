"""Erasing the confidential payloads of one task: for admins, with a reason, and typed."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents import erasure, tasks
from agents.domain.errors import InvalidCommand
from agents.pages.refusals import CONFLICT, Refusal, refusal_of, refusal_of_form
from events.access import Principal, Right
from events.origin import context_of
from events.pages.confirmation import Confirmed
from events.pages.frame import render_page, require, tenant_page
from events.tenants import Refused


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def erase_task(request: HttpRequest, principal: Principal, task_id: str) -> HttpResponse:
    if tasks.holder(principal.tenant, task_id) is None:
        raise Http404
    require(request, principal, Right.ADMINISTER)
    if request.method != "POST":
        return _page(request, principal, Confirmed(expected=task_id))
    form = Confirmed(request.POST, expected=task_id)
    if not form.is_valid():
        return _page(request, principal, form, refusal_of_form(form))
    reason = form.cleaned_data["reason"]
    by = context_of(request, principal.actor, reason)
    try:
        done = erasure.erase_task(tenant=principal.tenant, task_id=task_id, reason=reason, by=by)
    except InvalidCommand as error:
        return _page(request, principal, form, refusal_of(error, form))
    except Refused as refused:
        return _page(request, principal, form, Refusal(str(refused), CONFLICT))
    if done.erased:
        messages.success(request, f"Nobody reads the payloads of {task_id} any more.")
    else:
        messages.info(request, f"The payloads of {task_id} were erased before.")
    return redirect("admin:task", principal.tenant, task_id)


def _page(
    request: HttpRequest, principal: Principal, form: Confirmed, refusal: Refusal | None = None
) -> HttpResponse:
    context = {
        "title": "Erase payloads",
        "section": "tasks",
        "form": form,
        "task_id": form.expected,
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render_page(request, principal, "agents/erase_task.html", context, status=status)
