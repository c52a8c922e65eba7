"""Members and tokens, for the tenant's admins. Every form is one call of `events.tenants`."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events import tenants
from events.access import Principal, Right, principal_of_user
from events.models import MEMBER_ROLES, Membership, Role, Token
from events.origin import context_of
from events.pages import parameters, rights
from events.pages.confirmation import REASON_LENGTH, Confirmed
from events.pages.fields import MomentField
from events.pages.frame import render_page, require, tenant_page

PAGE = 100


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150)
    role = forms.ChoiceField(
        choices=[(role.value, role.label) for role in MEMBER_ROLES], initial=Role.OPERATOR.value
    )


class TokenForm(forms.Form):
    name = forms.CharField(help_text="What it is for, for example the program that will use it.")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.OPERATOR.value)
    agent_id = forms.CharField(
        required=False, label="Agent id", help_text="For the role agent: the only agent it sees."
    )
    expires_at = MomentField(required=False, label="Expires at (UTC)", help_text="Empty: never.")


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

    if _done(request, form, add):
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

    if not _done(request, removal, change):
        return _member(request, principal, username, removal, status=400)
    if principal_of_user(request.user, tenant) is None:
        return redirect("admin:index")  # who removed or suspended themself is outside now
    return redirect("admin:members", tenant)


def _reason(request: HttpRequest) -> str | None:
    """Why, as far as it was said and can be recorded."""
    said = request.POST.get("reason", "").replace("\0", "").replace("\r\n", "\n").strip()
    return said[:REASON_LENGTH] or None


@require_safe
@tenant_page
def token_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    return _tokens(request, principal, TokenForm())


@require_POST
@tenant_page
def issue_token(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Answers with the page itself, not with a redirect: the secret is nowhere to be read again."""
    require(request, principal, Right.ADMINISTER)
    form = TokenForm(request.POST)
    issued: list[tuple[Token, str]] = []

    def issue() -> str:
        values = form.cleaned_data
        issued.append(
            tenants.issue_token(
                principal.tenant,
                values["name"],
                values["role"],
                agent_id=values["agent_id"] or None,
                expires_at=values["expires_at"],
                by=context_of(request, principal.actor),
            )
        )
        return f"The token {values['name']} was issued."

    if not _done(request, form, issue):
        return _tokens(request, principal, form, status=400)
    return _tokens(request, principal, TokenForm(), issued=issued[0])


@require_POST
@tenant_page
def revoke_token(request: HttpRequest, principal: Principal, token_id: uuid.UUID) -> HttpResponse:
    require(request, principal, Right.ADMINISTER)

    def revoke() -> str:
        by = context_of(request, principal.actor)
        tenants.revoke_token(principal.tenant, token_id, by=by)
        return "The token opens nothing any more."

    if _done(request, None, revoke):
        return redirect("admin:tokens", principal.tenant)
    return _tokens(request, principal, TokenForm(), status=404)


def _done(request: HttpRequest, form: forms.Form | None, act: Callable[[], str]) -> bool:
    """Whether the form could be read and the service did it; says so, or why not, on the page."""
    if form is not None and not form.is_valid():
        messages.error(request, "Nothing was recorded. Please correct what is marked below.")
        return False
    try:
        messages.success(request, act())
    except tenants.Refused as refused:
        messages.error(request, str(refused))
        if form is not None and refused.field in form.fields:
            form.add_error(refused.field, str(refused))
        return False
    return True


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


def _tokens(
    request: HttpRequest,
    principal: Principal,
    form: TokenForm,
    *,
    issued: tuple[Token, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    tokens = Token.objects.filter(tenant=principal.tenant)
    rows = list(
        _after(tokens, parameters.text(request, "after")).order_by("name", "id")[: PAGE + 1]
    )
    context: dict[str, Any] = {
        "title": "Tokens",
        "section": "integrations",
        "tokens": rows[:PAGE],
        "form": form,
        "issued": issued,
        "next": parameters.link(request, after=str(rows[PAGE - 1].pk)) if rows[PAGE:] else None,
    }
    return render_page(request, principal, "events/tokens.html", context, status=status)


def _after(tokens: QuerySet[Token], last_id: str) -> QuerySet[Token]:
    """The tokens that follow the one with this id; all of them when there is none."""
    try:
        last = tokens.filter(pk=uuid.UUID(last_id)).first()
    except ValueError:
        return tokens
    return (
        tokens.filter(Q(name__gt=last.name) | Q(name=last.name, pk__gt=last.pk)) if last else tokens
    )
