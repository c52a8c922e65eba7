"""/alert-rules and /alert-webhooks: what is trouble, and who is told.

The secret of a webhook that a request names first is shown in its answer, and kept nowhere that a
door reads. A request that is repeated under its Idempotency-Key gets its first answer with null
`webhook_secrets`.
"""

from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from events.access import Right
from events.api import fields
from events.api.members import gone, told
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import (
    AMOUNT,
    COUNT,
    MOMENT,
    TEXT,
    TRUTH,
    Shape,
    choice,
    listing,
    or_null,
    some_of,
    text,
    thing,
    whole,
)
from events.api.paging import listed, page_by_name
from events.api.problem import not_found
from events.idempotency import Answer, Receipt
from events.moments import rfc3339
from projections.alerts import rule_services, rules, validation
from projections.alerts.models import Kind
from projections.alerts.rule_services import Secrets
from projections.alerts.rules import Rule
from projections.outbound.post import URL_LENGTH

NAME = text(pattern=f"^{validation.NAME_PATTERN}$")
EVENTS = text(most=validation.EVENTS_LENGTH).saying(
    "Types of events between commas; a `*` may end each. For a rule of the kind event."
)
TAG = text(most=validation.TAG_LENGTH, least=1)
TAGS = some_of(TAG, most=validation.MOST_TAGS, once=True)
THRESHOLD = Shape({"type": "number", "exclusiveMinimum": 0, "maximum": 1}).saying(
    "The completion rate below which an alert opens. For a rule of the kind completion_rate."
)
MINUTES = whole(1, validation.MOST_MINUTES)
TASKS = whole(1, validation.MOST_TASKS)
EMAIL = Shape({"type": "string", "format": "email", "maxLength": validation.EMAIL_LENGTH})
EMAILS = some_of(EMAIL, most=validation.MOST_TARGETS, once=True)
URL = Shape({"type": "string", "format": "uri", "pattern": "^https://", "maxLength": URL_LENGTH})
URLS = some_of(URL, most=validation.MOST_TARGETS, once=True)
_RULE = {
    "name": NAME,
    "kind": choice(Kind),
    "events": EVENTS,
    "agent_tags": some_of(text()),
    "threshold": or_null(AMOUNT),
    "minutes": or_null(COUNT),
    "minimum_tasks": COUNT,
    "enabled": TRUTH,
    "emails": some_of(text()),
    "webhooks": some_of(text()).saying("To who may not change the rule, only where they lead."),
    "built_in": TRUTH,
    "created_at": or_null(MOMENT),
}
_SECRETS = Shape({"type": ["object", "null"], "additionalProperties": TEXT}).saying(
    "URL → secret of each webhook that is new, shown this once. null: the request was repeated "
    "under its key."
)
RULE = thing("AlertRule", _RULE)
RULES = listing(RULE)
CHANGED_RULE = thing("ChangedAlertRule", _RULE | {"webhook_secrets": _SECRETS})
ROTATED = thing("RotatedSecret", {"url": text(), "webhook_secrets": _SECRETS})


class ChangeRule(fields.Order):
    events = fields.Text(shape=EVENTS, required=False)
    agent_tags = fields.Listed(child=fields.Text(shape=TAG), shape=TAGS, required=False)
    threshold = fields.Number(shape=THRESHOLD, required=False, allow_null=True)
    minutes = fields.Whole(shape=MINUTES, required=False, allow_null=True)
    minimum_tasks = fields.Whole(shape=TASKS, required=False)
    enabled = fields.Truth(required=False)
    emails = fields.Listed(child=fields.Text(shape=EMAIL), shape=EMAILS, required=False)
    webhooks = fields.Listed(child=fields.Text(shape=URL), shape=URLS, required=False)


class CreateRule(ChangeRule):
    name = fields.Text(shape=NAME)
    kind = fields.Text(shape=choice(Kind), required=False)


class RotateWebhookSecret(fields.Order):
    url = fields.Text(shape=URL)


class RuleDoor(WritingDoor):
    """What every route of rules has in common."""

    def rule_json(self, rule: Rule) -> dict[str, Any]:
        """Whoever may not change a rule sees of its webhooks only where they lead."""
        may_change = self.principal.may(Right.OPERATE)
        return {
            "name": rule.name,
            "kind": rule.kind.value,
            "events": rule.events,
            "agent_tags": list(rule.agent_tags),
            "threshold": rule.threshold,
            "minutes": rule.minutes,
            "minimum_tasks": rule.minimum_tasks,
            "enabled": rule.enabled,
            "emails": list(rule.emails),
            "webhooks": [
                each if may_change else rule_services.origin(each) for each in rule.webhooks
            ],
            "built_in": rule.is_built_in,
            "created_at": rule.created_at and rfc3339(rule.created_at),
        }

    def receipt_answer(self, rule: Rule) -> Answer:
        """What is kept of a change: all but the secrets."""
        return Answer(HTTPStatus.OK, {**self.rule_json(rule), "webhook_secrets": None})


def told_with(secrets: Secrets, receipt: Receipt) -> HttpResponse:
    """The answer with the secrets, which are not kept."""
    answer = told(receipt)
    response = response_of(answer)
    response.content = msgspec.json.encode({**answer.body, "webhook_secrets": secrets})
    return response


class AlertRules(RuleDoor):
    """GET and POST /alert-rules"""

    rights: ClassVar = {"GET": Right.OVERSEE, "POST": Right.OPERATE}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    orders: ClassVar = {"POST": CreateRule}
    operations: ClassVar = {
        "GET": Operation(
            "list_alert_rules", "alerts", "What is trouble, and who is told", answer=RULES
        ),
        "POST": Operation(
            "create_alert_rule",
            "alerts",
            "Make a rule",
            answer=CHANGED_RULE,
            status=HTTPStatus.CREATED,
            refuses=("already_exists", "rule_violated"),
        ),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        named = {each.name: each for each in rule_services.list_rules(tenant=self.tenant)}
        page, cursor = page_by_name(self.query, named)
        return listed([self.rule_json(each) for each in page], cursor, seq)

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)
        if "kind" in order:
            order["kind"] = validation.kind_of(order["kind"])

        def execute() -> HttpResponse:
            receipt = Receipt(self._created, once)
            _, secrets = rule_services.create_rule(
                tenant=self.tenant, rule=Rule(**order), by=self.context(), receipt=receipt
            )
            return told_with(secrets, receipt)

        return self.answer_once(once, execute)

    def _created(self, rule: Rule) -> Answer:
        location = f"/api/v1/tenants/{self.tenant}/alert-rules/{rule.name}"
        return Answer(HTTPStatus.CREATED, self.receipt_answer(rule).body, location)


class OneAlertRule(RuleDoor):
    """GET, PATCH and DELETE /alert-rules/{name}"""

    rights: ClassVar = {"GET": Right.OVERSEE, "PATCH": Right.OPERATE, "DELETE": Right.OPERATE}
    known: ClassVar = {"GET": ("min_seq",)}
    orders: ClassVar = {"PATCH": ChangeRule}
    parameters: ClassVar = {"name": Parameter(NAME, "The rule's name.")}
    operations: ClassVar = {
        "GET": Operation("read_alert_rule", "alerts", "One rule", answer=RULE),
        "PATCH": Operation("change_alert_rule", "alerts", "Change a rule", answer=CHANGED_RULE),
        "DELETE": Operation(
            "delete_alert_rule",
            "alerts",
            "Delete a rule",
            "A built-in one can only be disabled. Its alerts stay.",
            status=HTTPStatus.NO_CONTENT,
            refuses=("rule_violated",),
        ),
    }

    def admit(self, request: Request) -> None:
        super().admit(request)
        self.name: str = self.kwargs["name"]
        if not validation.NAME.match(self.name):
            raise not_found()

    def object_exists(self) -> bool:
        return rules.find(self.tenant, self.name) is not None

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        rule = rule_services.get_rule(tenant=self.tenant, name=self.name)
        return response_of(Answer(HTTPStatus.OK, self.rule_json(rule), seq=seq))

    def patch(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(self.receipt_answer, once)
            _, secrets = rule_services.update_rule(
                tenant=self.tenant, name=self.name, **order, by=self.context(), receipt=receipt
            )
            return told_with(secrets, receipt)

        return self.answer_once(once, execute)

    def delete(self, _: Request, **__: str) -> HttpResponse:
        receipt = Receipt(lambda _: Answer(HTTPStatus.NO_CONTENT, {}))
        rule_services.delete_rule(
            tenant=self.tenant, name=self.name, by=self.context(), receipt=receipt
        )
        return gone(receipt)


class RotateSecret(WritingDoor):
    """POST /alert-webhooks/rotate-secret"""

    rights: ClassVar = {"POST": Right.OPERATE}
    orders: ClassVar = {"POST": RotateWebhookSecret}
    operations: ClassVar = {
        "POST": Operation(
            "rotate_webhook_secret",
            "alerts",
            "Give a webhook a new secret",
            answer=ROTATED,
        )
    }

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(
                lambda url: Answer(HTTPStatus.OK, {"url": url, "webhook_secrets": None}), once
            )
            secret = rule_services.rotate_webhook_secret(
                tenant=self.tenant, **order, by=self.context(), receipt=receipt
            )
            return told_with({order["url"]: secret}, receipt)

        return self.answer_once(once, execute)
