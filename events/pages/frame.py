"""What every page of a tenant has in common: who may see it, what surrounds it, how it refuses.

A page is a view `(request, principal, …)`. It speaks of the principal's tenant and of no other, so
the slug of the address is turned into a principal once, here.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from events import registry
from events.access import (
    Principal,
    Right,
    principal_of_user,
    record_denial,
    record_superuser_view,
    tenants_of_user,
)
from events.origin import context_of
from events.pages import zones
from events.pages.navigation import SECTIONS
from events.telling import also_tell

P = ParamSpec("P")
Answer = TypeVar("Answer", bound=HttpResponseBase)
REMEMBERED = "tenant"  # in the session: where the person was last
SWITCHER = 12  # tenants in the menu of tenants, which leads to the list of all


def tenant_page(
    view: Callable[Concatenate[HttpRequest, Principal, P], Answer],
) -> Callable[..., Answer]:
    """The view behind the tenant's door: 404 for whoever may not enter, as if there were none."""

    @wraps(view)
    def enter(request: HttpRequest, tenant: str, *args: P.args, **kwargs: P.kwargs) -> Answer:
        principal = principal_of_user(request.user, tenant)
        if principal is None or not principal.may(Right.READ):
            raise Http404
        also_tell(actor=principal.actor, tenant=principal.tenant)
        record_superuser_view(principal, context_of(request, principal.actor))
        if request.session.get(REMEMBERED) != tenant:
            request.session[REMEMBERED] = tenant
        with zones.reading(zones.chosen(request, principal.time_zone).zone):
            return view(request, principal, *args, **kwargs)

    return enter


def require(request: HttpRequest, principal: Principal, right: Right) -> None:
    """Go on when the role has the right; else the attempt is recorded and answered with 403."""
    if principal.may(right):
        return
    route = request.resolver_match.route if request.resolver_match else request.path
    by = context_of(request, principal.actor)
    record_denial(principal, request.method or "GET", route, by)
    raise PermissionDenied


def render_page(
    request: HttpRequest,
    principal: Principal,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """A page with the tenant's navigation around it. context: `title` and `section` at least."""
    user = request.user
    tenants = () if user.is_superuser else tuple(tenants_of_user(user))
    around = {
        "principal": principal,
        "has_permission": True,
        "several_tenants": user.is_superuser or len(tenants) > 1,
        "other_tenants": [slug for slug in tenants if slug != principal.tenant][:SWITCHER],
        "sections": SECTIONS,
        "times": zones.chosen(request, principal.time_zone),
        "event_types": registry.types(),
        "may_operate": principal.may(Right.OPERATE),
        "may_administer": principal.may(Right.ADMINISTER),
        "may_oversee": principal.may(Right.OVERSEE),
        "may_audit": principal.may(Right.AUDIT),
    }
    return render(request, template, {**around, **context}, status=status)
