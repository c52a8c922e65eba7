"""Alert rules: what is trouble, and who is told. Every form is one call of `rule_services`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events import registry
from events.access import Principal, Right
from events.origin import context_of
from events.pages.confirmation import Confirmed
from events.pages.frame import render_page, require, tenant_page
from events.tenants import Refused
from projections.alerts import rule_services, rules
from projections.alerts.models import Kind
from projections.alerts.rules import Rule
from projections.notify.models import WebhookSecret
from projections.pages.rule_forms import FORMS, RuleForm

FRAME = {"section": "settings", "tab": "alert_rules"}
STATUS = {"already_exists": HTTPStatus.CONFLICT, "conflict": HTTPStatus.CONFLICT}


@require_safe
@tenant_page
def rule_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    context = {
        **FRAME,
        "title": "Alert rules",
        "rules": [(rule, _targets(rule)) for rule in rules.all_of(principal.tenant).values()],
    }
    return render_page(request, principal, "settings/alert_rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def create_rule(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`?kind=` says which form."""
    require(request, principal, Right.OPERATE)
    kind = _kind(request)
    if request.method != "POST":
        return _new(request, principal, FORMS[kind](), kind)
    form = FORMS[kind](request.POST)
    if not form.is_valid():
        return _new(request, principal, form, kind, HTTPStatus.BAD_REQUEST)
    by = context_of(request, principal.actor)
    try:
        rule, secrets = rule_services.create_rule(
            tenant=principal.tenant, rule=form.new_rule(), by=by
        )
    except Refused as refused:
        return _new(request, principal, form, kind, _refuse(form, refused))
    messages.success(request, f"The rule {rule.name} counts for what is recorded from now on.")
    return _after(request, principal, rule, secrets)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def rule_page(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    require(request, principal, Right.OPERATE if request.method == "POST" else Right.OVERSEE)
    rule = _found(principal, name)
    if request.method != "POST":
        return _rule(request, principal, rule)
    form = FORMS[rule.kind](request.POST, rule=rule)
    if not form.is_valid():
        return _rule(request, principal, rule, form=form, status=HTTPStatus.BAD_REQUEST)
    by = context_of(request, principal.actor)
    try:
        after, secrets = rule_services.update_rule(
            tenant=principal.tenant, name=name, **form.changes(), by=by
        )
    except Refused as refused:
        return _rule(request, principal, rule, form=form, status=_refuse(form, refused))
    differs = after != rule
    messages.success(
        request, "The rule is changed." if differs else "Nothing differed; it stands as it was."
    )
    return _after(request, principal, after, secrets)


@require_POST
@tenant_page
def switch_rule(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """Enabled or disabled, as `enabled` says, yes or no."""
    require(request, principal, Right.OPERATE)
    rule = _found(principal, name)
    enabled = {"yes": True, "no": False}.get(request.POST.get("enabled", ""))
    if enabled is None:
        messages.error(request, "Say whether the rule is to be enabled, yes or no.")
        return _rule(request, principal, rule, status=HTTPStatus.BAD_REQUEST)
    by = context_of(request, principal.actor)
    try:
        rule_services.update_rule(tenant=principal.tenant, name=name, enabled=enabled, by=by)
        said = "enabled" if enabled else "disabled; alerts that stood by it are resolved"
        messages.success(request, f"The rule {name} is {said}.")
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("admin:alert_rules", principal.tenant)


@require_POST
@tenant_page
def delete_rule(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    require(request, principal, Right.OPERATE)
    rule = _found(principal, name)
    removal = Confirmed(request.POST, expected=name)
    if not removal.is_valid():
        return _rule(request, principal, rule, removal=removal, status=HTTPStatus.BAD_REQUEST)
    by = context_of(request, principal.actor, removal.cleaned_data["reason"])
    try:
        rule_services.delete_rule(tenant=principal.tenant, name=name, by=by)
    except Refused as refused:
        messages.error(request, str(refused))  # a built-in rule's page has no such form
        return _rule(request, principal, rule, removal=removal, status=HTTPStatus.CONFLICT)
    messages.success(request, f"The rule {name} is deleted.")
    return redirect("admin:alert_rules", principal.tenant)


@require_POST
@tenant_page
def rotate_secret(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """A new secret for one webhook of the rule, shown by this answer alone."""
    require(request, principal, Right.OPERATE)
    rule = _found(principal, name)
    url = request.POST.get("url", "")
    if url not in rule.webhooks:
        raise Http404
    by = context_of(request, principal.actor)
    try:
        secret = rule_services.rotate_webhook_secret(tenant=principal.tenant, url=url, by=by)
    except Refused as refused:
        messages.error(request, str(refused))
        return _rule(request, principal, rule, status=HTTPStatus.CONFLICT)
    return _rule(request, principal, rule, secrets={url: secret})


def _kind(request: HttpRequest) -> Kind:
    try:
        return Kind(request.GET.get("kind", ""))
    except ValueError:
        return Kind.EVENT


def _found(principal: Principal, name: str) -> Rule:
    rule = rules.find(principal.tenant, name)
    if rule is None:
        raise Http404
    return rule


def _targets(rule: Rule) -> list[str]:
    """Who is told, without what may be a secret: of a webhook where it leads alone."""
    return [*rule.emails, *map(rule_services.origin, rule.webhooks)]


def _refuse(form: RuleForm, refused: Refused) -> int:
    form.add_error(refused.field if refused.field in form.fields else None, str(refused))
    return STATUS.get(refused.code, HTTPStatus.BAD_REQUEST)


def _after(
    request: HttpRequest, principal: Principal, rule: Rule, secrets: Mapping[str, str]
) -> HttpResponse:
    """On to the rule's page; where there are secrets this answer is it, since none is kept."""
    if secrets:
        return _rule(request, principal, rule, secrets=secrets)
    return redirect("admin:alert_rule", principal.tenant, rule.name)


def _new(
    request: HttpRequest,
    principal: Principal,
    form: RuleForm,
    kind: Kind,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    context = {
        **FRAME,
        "title": "New alert rule",
        "form": form,
        "kind": kind.value,
        "types": registry.types(),
    }
    return render_page(request, principal, "settings/new_alert_rule.html", context, status=status)


def _rule(
    request: HttpRequest,
    principal: Principal,
    rule: Rule,
    *,
    form: RuleForm | None = None,
    removal: Confirmed | None = None,
    secrets: Mapping[str, str] | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    may_change = principal.may(Right.OPERATE)
    context: dict[str, Any] = {
        **FRAME,
        "title": rule.name,
        "rule": rule,
        "targets": _targets(rule),
        "form": (form or FORMS[rule.kind](rule=rule)) if may_change else None,
        "removal": removal or Confirmed(expected=rule.name),
        "stands_in": rule.name in rules.BUILT_IN,
        "secrets": secrets or {},
        "webhooks": _webhooks(principal.tenant, rule) if may_change else [],
        "types": registry.types(),
    }
    return render_page(request, principal, "settings/alert_rule.html", context, status=status)


def _webhooks(tenant: str, rule: Rule) -> list[tuple[str, WebhookSecret | None]]:
    """Each with its secret's row, of which a page shows when it was made, never the secret."""
    rows = WebhookSecret.objects.filter(tenant=tenant, url__in=rule.webhooks)
    by_url = {row.url: row for row in rows.defer("secret", "previous")}
    return [(url, by_url.get(url)) for url in rule.webhooks]
