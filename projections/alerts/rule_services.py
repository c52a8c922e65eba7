"""What people do to rules. Each change is a fact of the tenant's own stream, written with the row.

`by` is the Context of whoever acts, `receipt` what a door wants of it (`events.idempotency`). A
refusal is `events.tenants.Refused`, which names the field. Another tenant's rule is not there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError
from django.utils import timezone
from msgspec import UNSET, UnsetType

from events import tenants
from events.idempotency import Receipt
from events.log import read
from events.log.proposal import Context
from events.tenant_facts import AlertRuleChanged, AlertRuleDeleted, SettingsChanged
from events.tenants import Refused
from projections.alerts import rules, validation
from projections.alerts.models import AlertRule
from projections.alerts.rules import BUILT_IN, Rule
from projections.notify import outbox, secrets
from projections.notify.models import Channel

MOST_RULES = 100
Secrets = dict[str, str]  # by URL: those that were made now, and are never shown again


def list_rules(*, tenant: str) -> list[Rule]:
    """All of them by name, the built-in ones too; there are so few that they have no pages."""
    return list(rules.all_of(tenant).values())


def get_rule(*, tenant: str, name: str) -> Rule:
    """Raises Refused (not_found)."""
    rule = rules.find(tenant, name)
    if rule is None:
        raise _not_found(tenant, name)
    return rule


def create_rule(
    *, tenant: str, rule: Rule, by: Context, receipt: Receipt | None = None
) -> tuple[Rule, Secrets]:
    """A new rule, which counts for what is recorded after it; and secrets for its new webhooks."""
    rule = replace(
        rule,
        agent_tags=tuple(rule.agent_tags),
        emails=tuple(rule.emails),
        webhooks=tuple(rule.webhooks),
        created_at=timezone.now(),
    )
    validation.check_rule(rule)
    if rule.name in BUILT_IN:
        raise Refused(
            f"The rule {rule.name} is built in. Change it instead.", "already_exists", field="name"
        )
    return rule, _insert(tenant, rule, _told(rule), by, receipt)


def update_rule(
    *,
    tenant: str,
    name: str,
    events: str | UnsetType = UNSET,
    agent_tags: Sequence[str] | UnsetType = UNSET,
    threshold: float | UnsetType = UNSET,
    minutes: int | UnsetType = UNSET,
    minimum_tasks: int | UnsetType = UNSET,
    enabled: bool | UnsetType = UNSET,
    emails: Sequence[str] | UnsetType = UNSET,
    webhooks: Sequence[str] | UnsetType = UNSET,
    by: Context,
    receipt: Receipt | None = None,
) -> tuple[Rule, Secrets]:
    """Change what is not left UNSET, of a built-in rule too. Nothing is recorded when nothing
    differs. Alerts that stand go on; those of a rule that is disabled are resolved."""
    row = rules.rows(tenant).filter(name=name).first()
    before = Rule.of(row) if row else get_rule(tenant=tenant, name=name)
    asked = {
        "events": events,
        "agent_tags": agent_tags if agent_tags is UNSET else tuple(agent_tags),
        "threshold": threshold,
        "minutes": minutes,
        "minimum_tasks": minimum_tasks,
        "enabled": enabled,
        "emails": emails if emails is UNSET else tuple(emails),
        "webhooks": webhooks if webhooks is UNSET else tuple(webhooks),
    }
    changes: dict[str, Any] = {key: value for key, value in asked.items() if value is not UNSET}
    after = replace(before, **changes)
    if after == before:
        if receipt:
            head = read.head(tenant)
            receipt.unchanged(before, head.seq if head else 0)
        return before, {}
    validation.check_rule(after, events_stood=after.events == before.events)
    changed = {
        key: value
        for key, value in _told(after).items()
        if getattr(after, key) != getattr(before, key)
    }
    if row is None:
        after = replace(after, created_at=timezone.now())
        return after, _insert(tenant, after, changed, by, receipt)
    return after, _change(tenant, row, after, changed, by, receipt)


def delete_rule(*, tenant: str, name: str, by: Context, receipt: Receipt | None = None) -> None:
    """The rule is gone, and alerts that stand by it are resolved. Where it stood in for a built-in
    one, that one counts again. Raises Refused, also for a built-in rule that nobody has changed."""
    row = rules.rows(tenant).filter(name=name).first()
    if row is None:
        get_rule(tenant=tenant, name=name)
        raise Refused(
            f"The rule {name} is built in. Disable it instead.",
            "rule_violated",
            rule="built_in_rule",
        )
    as_read = rules.rows(tenant).filter(pk=row.pk, revision=row.revision)

    def write() -> None:
        if not as_read.delete()[0]:
            raise _changed_meanwhile(name)
        _forget_targets(tenant, Rule.of(row).targets)

    fact = AlertRuleDeleted(rule=name)
    tenants.record(tenant, fact, by=by, within=write, receipt=receipt, thing=Rule.of(row))


def rotate_webhook_secret(
    *, tenant: str, url: str, by: Context, receipt: Receipt | None = None
) -> str:
    """A new secret for a webhook of the tenant's rules, shown this once. The old one signs beside
    it for a day, so that no post is refused while the other side changes it."""
    fresh: str | None = None

    def write() -> None:
        nonlocal fresh
        fresh = secrets.rotate(tenant, url)
        if fresh is None:
            raise Refused("No rule names this webhook.", "not_found", field="url")

    fact = SettingsChanged(changed={"webhook_secret": origin(url)})
    tenants.record(tenant, fact, by=by, within=write, receipt=receipt, thing=url)
    assert fresh is not None  # noqa: S101 -- written, or refused
    return fresh


def _insert(
    tenant: str, rule: Rule, told: dict[str, Any], by: Context, receipt: Receipt | None
) -> Secrets:
    def write() -> None:
        if rules.rows(tenant).count() >= MOST_RULES:
            raise Refused(
                f"{tenant} has {MOST_RULES} rules. Delete one first.",
                "rule_violated",
                rule="too_many_rules",
            )
        AlertRule.objects.create(tenant_id=tenant, **_columns(rule))

    try:
        return _record(tenant, rule, told, write, (), by, receipt)
    except IntegrityError:
        raise Refused(
            f"There is a rule {rule.name} already. Change it, or choose another name.",
            "already_exists",
            field="name",
        ) from None


def _change(
    tenant: str,
    row: AlertRule,
    rule: Rule,
    told: dict[str, Any],
    by: Context,
    receipt: Receipt | None,
) -> Secrets:
    as_read = rules.rows(tenant).filter(pk=row.pk, revision=row.revision)
    columns = {key: value for key, value in _columns(rule).items() if key != "created_at"}

    def write() -> None:
        if not as_read.update(revision=row.revision + 1, **columns):
            raise _changed_meanwhile(rule.name)

    return _record(tenant, rule, told, write, Rule.of(row).targets, by, receipt)


def _record(
    tenant: str,
    rule: Rule,
    told: dict[str, Any],
    write: Callable[[], None],
    targets_before: Iterable[outbox.Target],
    by: Context,
    receipt: Receipt | None,
) -> Secrets:
    made: Secrets = {}

    def write_all() -> None:  # again from the beginning when others were first
        made.clear()
        write()
        made.update(secrets.make(tenant, rule.webhooks))
        _forget_targets(tenant, targets_before)

    fact = AlertRuleChanged(rule=rule.name, changed=told)
    tenants.record(tenant, fact, by=by, within=write_all, receipt=receipt, thing=rule)
    return made


def _forget_targets(tenant: str, before: Iterable[outbox.Target]) -> None:
    """Those of them that no rule names any more."""
    named = {target for row in rules.rows(tenant) for target in Rule.of(row).targets}
    for target in set(before) - named:
        outbox.forget(tenant, target)
        channel, address = target
        if channel is Channel.WEBHOOK:
            secrets.forget(tenant, address)


def _columns(rule: Rule) -> dict[str, Any]:
    columns = asdict(rule)
    lists = {key: list(columns[key]) for key in ("agent_tags", "emails", "webhooks")}
    return {**columns, **lists}


def _told(rule: Rule) -> dict[str, Any]:
    """What the log may know of a rule, field by field."""
    return {
        "kind": rule.kind.value,
        "events": rule.events,
        "agent_tags": list(rule.agent_tags),
        "threshold": rule.threshold,
        "minutes": rule.minutes,
        "minimum_tasks": rule.minimum_tasks,
        "enabled": rule.enabled,
        "emails": len(rule.emails),
        "webhooks": [origin(url) for url in rule.webhooks],
    }


def origin(url: str) -> str:
    """What anybody may know of a webhook: its path may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _not_found(tenant: str, name: str) -> Refused:
    return Refused(f"There is no rule {name!r} in {tenant}.", "not_found")


def _changed_meanwhile(name: str) -> Refused:
    return Refused(
        f"The rule {name} was changed by somebody else. Look again and decide again.", "conflict"
    )
