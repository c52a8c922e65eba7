"""Members, for the tenant's admins. Every form is one call of `events.tenants`."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from events import tenants
from events.access import Principal, Right
from events.models import MEMBER_ROLES, Membership, Role
from events.origin import context_of
from events.pages import parameters
from events.pages.deeds import done
from events.pages.frame import render_page, require, tenant_page

PAGE = 100


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150)
    role = forms.ChoiceField(
        choices=[(role.value, role.label) for role in MEMBER_ROLES], initial=Role.OPERATOR.value
    )


@require_safe
@tenant_page
def member_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    return _members(request, principal, MemberForm())


@require_POST
@tenant_page
def add_member(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.ADMINISTER)
    form = MemberForm(request.POST)

    def add() -> str:
        username, role = form.cleaned_data["username"], form.cleaned_data["role"]
        tenants.add_member(
            principal.tenant, username, role, by=context_of(request, principal.actor)
        )
        return f"{username} is now {role} in {principal.tenant}."

    if done(request, form, add):
        return redirect("admin:members", principal.tenant)
    return _members(request, principal, form, status=400)


@require_POST
@tenant_page
def change_member(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Role, suspended or removed, as the pressed button says."""
    require(request, principal, Right.ADMINISTER)
    username = request.POST.get("username", "").replace("\0", "")
    by = context_of(request, principal.actor)
    tenant = principal.tenant

    def change() -> str:
        match request.POST.get("do"):
            case "suspend":
                tenants.change_member(tenant, username, suspended=True, by=by)
                return f"{username} is suspended and can no longer enter {tenant}."
            case "let-in":
                tenants.change_member(tenant, username, suspended=False, by=by)
                return f"{username} may enter {tenant} again."
            case "remove":
                tenants.remove_member(tenant, username, by=by)
                return f"{username} is no longer a member of {tenant}."
            case _:
                role = request.POST.get("role", "")
                tenants.change_member(tenant, username, role=role, by=by)
                return f"{username} is now {role}."

    form = MemberForm()
    if done(request, None, change):
        return redirect("admin:members", tenant)
    return _members(request, principal, form, status=400)


def _members(
    request: HttpRequest, principal: Principal, form: MemberForm, status: int = 200
) -> HttpResponse:
    after = parameters.text(request, "after")
    rows = (
        Membership.objects.filter(tenant=principal.tenant, user__username__gt=after)
        .select_related("user")
        .order_by("user__username")[: PAGE + 1]
    )
    shown = list(rows)[:PAGE]
    more = len(rows) > PAGE
    context = {
        "title": "Members",
        "section": "settings",
        "members": shown,
        "roles": MEMBER_ROLES,
        "form": form,
        "next": parameters.link(request, after=shown[-1].user.get_username()) if more else None,
    }
    return render_page(request, principal, "events/members.html", context, status=status)
