"""Members, for the tenant's admins. Every form is one call of `events.tenants`."""

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events import tenants
from events.access import Principal, Right, principal_of_user
from events.models import MEMBER_ROLES, Membership, Role
from events.origin import context_of
from events.pages import parameters, rights
from events.pages.confirmation import REASON_LENGTH, Confirmed
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


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def change_member(request: HttpRequest, principal: Principal) -> HttpResponse:
    """One member, named by `username`; role, suspended or removed, as the pressed button says."""
    require(request, principal, Right.ADMINISTER)
    if request.method != "POST":
        return _member(request, principal, parameters.text(request, "username"))
    username = request.POST.get("username", "").replace("\0", "")
    do = request.POST.get("do")
    by = context_of(request, principal.actor, _reason(request))
    tenant = principal.tenant
    is_there = Membership.objects.filter(tenant=tenant, user__username=username).exists()
    needs_typing = do == "remove" and is_there
    removal = Confirmed(request.POST, expected=username) if needs_typing else None

    def change() -> str:
        match do:
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

    if not done(request, removal, change):
        return _member(request, principal, username, removal, status=400)
    if principal_of_user(request.user, tenant) is None:
        return redirect("admin:index")  # who removed or suspended themself is outside now
    return redirect("admin:members", tenant)


def _reason(request: HttpRequest) -> str | None:
    """Why, as far as it was said and can be recorded."""
    said = request.POST.get("reason", "").replace("\0", "").replace("\r\n", "\n").strip()
    return said[:REASON_LENGTH] or None


def _members(
    request: HttpRequest, principal: Principal, form: MemberForm, status: int = 200
) -> HttpResponse:
    after = parameters.text(request, "after")
    rows = list(
        Membership.objects.filter(tenant=principal.tenant, user__username__gt=after)
        .select_related("user")
        .order_by("user__username")[: PAGE + 1]
    )
    shown = rows[:PAGE]
    context = {
        "title": "Members and roles",
        "section": "settings",
        "tab": "members",
        "members": shown,
        "form": form,
        "matrix": rights.matrix(),
        "roles": rights.COLUMNS,
        "is_first": not after,
        "first": parameters.link(request, after=None),
        "next": parameters.link(request, after=shown[-1].user.get_username())
        if rows[PAGE:]
        else None,
    }
    return render_page(request, principal, "settings/members.html", context, status=status)


def _member(
    request: HttpRequest,
    principal: Principal,
    username: str,
    removal: Confirmed | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page of one member; the list for a form that names nobody, and so was refused."""
    members = Membership.objects.filter(tenant=principal.tenant, user__username=username)
    member = members.select_related("user").first()
    if member is None:
        if request.method != "POST":
            raise Http404
        return _members(request, principal, MemberForm(), status=status)
    context = {
        "title": username,
        "section": "settings",
        "tab": "members",
        "member": member,
        "is_self": member.user_id == request.user.pk,
        "roles": [(role.value, rights.in_words(role)) for role in MEMBER_ROLES],
        "removal": removal or Confirmed(expected=username),
    }
    return render_page(request, principal, "settings/member.html", context, status=status)
