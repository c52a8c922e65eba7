"""Tokens: programs' ways in. Admins issue and revoke them; whoever oversees the tenant sees them.

A secret stands in the one answer that issues it: in no session, in no message, in no address.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from events import tenants
from events.access import Principal, Right
from events.models import Role, Token
from events.origin import context_of
from events.pages import parameters
from events.pages.confirmation import Confirmed
from events.pages.deeds import done
from events.pages.fields import MomentField
from events.pages.frame import require, tenant_page
from events.pages.integrations import render_integration

PAGE = 100
TAB = "tokens"
READ_AND_WRITE = ("GET", "HEAD", "POST")
AT = "at"
NEVER = "never"
DAYS = {"7": "in 7 days", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}
STATES = {"usable": "Usable", "expired": "Expired", "revoked": "Revoked"}


class TokenForm(forms.Form):
    # Made with the form, and so the same when a browser sends the form again: see `_token_id`.
    form_id = forms.UUIDField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(help_text="What it is for, for example the program that will use it.")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.OPERATOR.value)
    agent_id = forms.CharField(
        required=False, label="Agent id", help_text="For the role agent: the only agent it sees."
    )
    expires = forms.ChoiceField(
        choices=[*DAYS.items(), (AT, "at the moment below"), (NEVER, "never")], initial="90"
    )
    expires_at = MomentField(
        required=False, label="Expires at", help_text="Where that is chosen above."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["form_id"].initial = uuid.uuid4

    def clean(self) -> dict[str, Any] | None:
        """expires_at: when it expires, whatever way that was said; None for never."""
        values = super().clean() or {}
        chosen = values.get("expires")
        if chosen == AT:
            if values.get("expires_at") is None and "expires_at" not in self.errors:
                self.add_error("expires_at", "Say when, or choose another term above.")
        elif values.get("expires_at") is not None:
            self.add_error("expires", "Choose “at the moment below”, or leave that empty.")
        elif chosen in DAYS:
            values["expires_at"] = timezone.now() + timedelta(days=int(chosen))
        return values


@require_safe
@tenant_page
def token_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """By name; `?state=` and `?role=` narrow, `?after=` goes on."""
    require(request, principal, Right.OVERSEE)
    now = timezone.now()
    state, role = parameters.text(request, "state"), parameters.text(request, "role")
    tokens = _in_state(Token.objects.filter(tenant=principal.tenant), state, now)
    if role in Role.values:
        tokens = tokens.filter(role=role)
    after = parameters.text(request, "after")
    last = _token(principal, after)
    if last is not None:
        tokens = tokens.filter(Q(name__gt=last.name) | Q(name=last.name, pk__gt=last.pk))
    rows = list(tokens.order_by("name", "id")[: PAGE + 1])
    context: dict[str, Any] = {
        "title": "Tokens",
        "tokens": rows[:PAGE],
        "now": now,
        "state": state,
        "role": role,
        "states": STATES,
        "roles": Role.values,
        "is_first": last is None,
        "next": parameters.link(request, after=str(rows[PAGE - 1].pk)) if rows[PAGE:] else None,
    }
    return render_integration(request, principal, "events/tokens/list.html", TAB, context)


@require_http_methods(READ_AND_WRITE)
@tenant_page
def issue_token(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Answers with the secret itself, not with a redirect: it is nowhere to be read again."""
    require(request, principal, Right.ADMINISTER)
    if request.method != "POST":
        return _issuing(request, principal, TokenForm())
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
                token_id=_token_id(principal, values["form_id"]),
                by=context_of(request, principal.actor),
            )
        )
        return f"The token {values['name']} was issued."

    if not done(request, form, issue):
        return _issuing(request, principal, form, status=400)
    token, secret = issued[0]
    context = {"title": "Token issued", "token": token, "secret": secret}
    return render_integration(request, principal, "events/tokens/issued.html", TAB, context)


@require_http_methods(READ_AND_WRITE)
@tenant_page
def revoke_token(request: HttpRequest, principal: Principal, token_id: uuid.UUID) -> HttpResponse:
    """Asks for the token's name and a reason, and then does it."""
    require(request, principal, Right.ADMINISTER)
    token = Token.objects.filter(tenant=principal.tenant, pk=token_id).first()
    if token is None:
        raise Http404
    if token.revoked_at is not None:
        messages.info(request, f"{token.name} was revoked already.")
        return redirect("admin:tokens", principal.tenant)
    if request.method != "POST":
        return _revoking(request, principal, token, Confirmed(expected=token.name))
    form = Confirmed(request.POST, expected=token.name)

    def revoke() -> str:
        by = context_of(request, principal.actor, form.cleaned_data["reason"])
        tenants.revoke_token(principal.tenant, token_id, by=by)
        return f"{token.name} opens nothing any more."

    if done(request, form, revoke):
        return redirect("admin:tokens", principal.tenant)
    return _revoking(request, principal, token, form, status=400)


def _token_id(principal: Principal, form_id: uuid.UUID | None) -> uuid.UUID | None:
    """The new token's id, which the database has once: a form that is sent again by a reload makes
    no second token. Of the tenant and the person, so that nobody meets another's."""
    if form_id is None:
        return None
    return uuid.uuid5(form_id, f"{principal.tenant} {principal.actor}")


def _issuing(
    request: HttpRequest, principal: Principal, form: TokenForm, status: int = 200
) -> HttpResponse:
    context = {"title": "Issue a token", "form": form}
    return render_integration(
        request, principal, "events/tokens/issue.html", TAB, context, status=status
    )


def _revoking(
    request: HttpRequest,
    principal: Principal,
    token: Token,
    form: Confirmed,
    status: int = 200,
) -> HttpResponse:
    context = {
        "title": f"Revoke {token.name}",
        "token": token,
        "form": form,
    }
    return render_integration(
        request, principal, "events/tokens/revoke.html", TAB, context, status=status
    )


def _in_state(tokens: QuerySet[Token], state: str, now: datetime) -> QuerySet[Token]:
    match state:
        case "usable":
            lasting = Q(expires_at=None) | Q(expires_at__gt=now)
            return tokens.filter(lasting, revoked_at=None)
        case "expired":
            return tokens.filter(revoked_at=None, expires_at__lte=now)
        case "revoked":
            return tokens.exclude(revoked_at=None)
        case _:
            return tokens


def _token(principal: Principal, written: str) -> Token | None:
    """The tenant's token with this id; None where it has none, or that is no id."""
    try:
        token_id = uuid.UUID(written)
    except ValueError:
        return None
    return Token.objects.filter(tenant=principal.tenant, pk=token_id).first()
