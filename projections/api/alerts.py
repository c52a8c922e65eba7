"""/alerts: what is in trouble or was, and what people do about it."""

import uuid
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from events.access import Right
from events.api import fields
from events.api.members import told
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import one_of, pattern
from events.api.openapi.shape import (
    COUNT,
    LOG_SEQ,
    MOMENT,
    UUID,
    choice,
    listing,
    or_null,
    some_of,
    text,
    thing,
)
from events.api.paging import cursor_of, key_after, listed, no_such_cursor
from events.api.problem import not_found
from events.idempotency import Answer, Receipt
from events.moments import rfc3339
from projections.alerts import alert_services, validation
from projections.alerts.models import Alert, State
from projections.api.door import ReaderDoor

READER = "alerts"  # the subscription that opens and resolves them


ALERT = thing(
    "Alert",
    {
        "alert_id": UUID,
        "rule": text(),
        "agent_id": or_null(text()),
        "state": choice(State),
        "troubles": some_of(text()).saying("Types of events that have not ended yet."),
        "detail": text(),
        "recurrences": COUNT,
        "opened_at": MOMENT,
        "opened_seq": LOG_SEQ,
        "event_id": or_null(UUID),
        "last_at": MOMENT,
        "last_seq": LOG_SEQ,
        "lapses_at": or_null(MOMENT),
        "acknowledged_at": or_null(MOMENT),
        "acknowledged_by": or_null(text()),
        "acknowledged_note": or_null(text()),
        "resolved_at": or_null(MOMENT),
        "resolved_by": or_null(text()),
        "resolved_seq": or_null(LOG_SEQ),
        "resolved_reason": or_null(text()),
    },
)
ALERTS = listing(ALERT)
SAID = text(most=validation.TEXT_LENGTH)


class AcknowledgeAlert(fields.Order):
    note = fields.Text(shape=SAID, required=False, allow_null=True)


class ResolveAlert(fields.Order):
    reason = fields.Text(shape=text(most=validation.TEXT_LENGTH, filled=True))


class Alerts(ReaderDoor):
    """GET /alerts, the newest first"""

    reads = READER
    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("state", "rule", "agent", "cursor", "limit", "min_seq")}
    parameters: ClassVar = {
        "state": one_of(State, "How they stand."),
        "rule": pattern("Names of a rule."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "list_alerts", "alerts", "What is in trouble or was", "The newest first.", answer=ALERTS
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        states = self.query.one_of("state", State.values)
        for name in ("rule", "agent"):
            self.query.pattern(name)
        limit, key = self.query.limit(), key_after(self.query)
        after = id_of(key[0]) if key else None
        if key and after is None:
            raise no_such_cursor()
        seq = self.reflected_seq()
        page = alert_services.list_alerts(
            tenant=self.tenant,
            states=[State(each) for each in states] if states else None,
            rule=self.query.text("rule"),
            agent_id=self.query.text("agent"),
            after=after,
            limit=limit,
        )
        cursor = cursor_of(str(page.next)) if page.next else None
        return listed([alert_json(each) for each in page.alerts], cursor, seq)


class AlertDoor(WritingDoor):
    """A route of one alert."""

    parameters: ClassVar = {"alert_id": Parameter(UUID, "The alert's id.")}

    def admit(self, request: Request) -> None:
        super().admit(request)
        alert_id = id_of(self.kwargs["alert_id"])
        if alert_id is None:
            raise not_found()
        self.alert_id = alert_id

    def object_exists(self) -> bool:
        return Alert.objects.filter(tenant=self.tenant, pk=self.alert_id).exists()


class OneAlert(AlertDoor, ReaderDoor):
    """GET /alerts/{alert_id}"""

    reads = READER
    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("min_seq",)}
    operations: ClassVar = {"GET": Operation("read_alert", "alerts", "One alert", answer=ALERT)}

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.reflected_seq()
        alert = alert_services.get_alert(tenant=self.tenant, alert_id=self.alert_id)
        return response_of(Answer(HTTPStatus.OK, alert_json(alert), seq=seq))


class AlertCommand(AlertDoor):
    """What is done to an alert; answers with the alert."""

    rights: ClassVar = {"POST": Right.OPERATE}

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(lambda alert: Answer(HTTPStatus.OK, alert_json(alert)), once)
            self.run(order, tenant=self.tenant, alert_id=self.alert_id, receipt=receipt)
            return response_of(told(receipt))

        return self.answer_once(once, execute)

    def run(self, order: dict[str, Any], **asked: Any) -> None:
        """Call the service."""
        raise NotImplementedError


class Acknowledge(AlertCommand):
    """POST /alerts/{alert_id}/acknowledge"""

    orders: ClassVar = {"POST": AcknowledgeAlert}
    operations: ClassVar = {
        "POST": Operation(
            "acknowledge_alert",
            "alerts",
            "Somebody is at it",
            "Again is no error.",
            answer=ALERT,
            refuses=("rule_violated",),
        )
    }

    def run(self, order: dict[str, Any], **asked: Any) -> None:
        note = order.get("note") or ""
        alert_services.acknowledge_alert(**asked, note=note, by=self.context())


class Resolve(AlertCommand):
    """POST /alerts/{alert_id}/resolve"""

    orders: ClassVar = {"POST": ResolveAlert}
    operations: ClassVar = {
        "POST": Operation(
            "resolve_alert",
            "alerts",
            "It is over, a person says",
            answer=ALERT,
            refuses=("rule_violated",),
        )
    }

    def run(self, order: dict[str, Any], **asked: Any) -> None:
        alert_services.resolve_alert(**asked, **order, by=self.context())


def id_of(text: str) -> uuid.UUID | None:
    """The id that the text spells; None for another spelling of one, and for none."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def alert_json(alert: Alert) -> dict[str, Any]:
    def moment(name: str) -> str | None:
        value = getattr(alert, name)
        return None if value is None else rfc3339(value)

    return {
        "alert_id": str(alert.id),
        "rule": alert.rule,
        "agent_id": alert.agent_id,
        "state": State(alert.state).value,
        "troubles": alert.troubles,
        "detail": alert.detail,
        "recurrences": alert.recurrences,
        "opened_at": moment("opened_at"),
        "opened_seq": alert.opened_seq,
        "event_id": alert.event_id and str(alert.event_id),
        "last_at": moment("last_at"),
        "last_seq": alert.last_seq,
        "lapses_at": moment("lapses_at"),
        "acknowledged_at": moment("acknowledged_at"),
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_note": alert.acknowledged_note,
        "resolved_at": moment("resolved_at"),
        "resolved_by": alert.resolved_by,
        "resolved_seq": alert.resolved_seq,
        "resolved_reason": alert.resolved_reason,
    }
