"""/subscriptions: how far each reader of the log has come, and what is parked of it.

Whoever repairs what an event failed at retries its stream; whoever cannot skips that one event.
"""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from events.access import Right
from events.api import fields
from events.api.members import told
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import (
    AMOUNT,
    COUNT,
    LOG_SEQ,
    MOMENT,
    Shape,
    choice,
    listing,
    or_null,
    some_of,
    text,
    thing,
)
from events.api.paging import listed, page_by_name
from events.api.problem import not_found
from events.durable import held, status
from events.durable.status import HeldState, State
from events.idempotency import Answer, Once, Receipt
from events.log import read
from events.moments import rfc3339

HELD_SHOWN = 100  # of each kind and subscription; many more are one fault, and their number says so


_HELD = some_of(
    thing(
        "HeldStream",
        {
            "stream_id": text(),
            "stream_type": text(),
            "seq": LOG_SEQ,
            "attempts": COUNT,
            "last_error": text(),
            "held_at": MOMENT,
            "retry_at": or_null(MOMENT),
            "parked_at": or_null(MOMENT),
        },
    ),
    most=HELD_SHOWN,
)
SUBSCRIPTION = thing(
    "Subscription",
    {
        "name": text(),
        "kind": Shape({"enum": ["projection", "reaction", None]}),
        "state": choice(status.Condition),
        "checkpoint": COUNT,
        "head": COUNT,
        "lag_events": COUNT,
        "lag_seconds": AMOUNT,
        "stopped_reason": or_null(text()),
        "failures": COUNT,
        "last_error": or_null(text()),
        "last_error_at": or_null(MOMENT),
        "parked_count": COUNT,
        "parked": _HELD,
        "retrying_count": COUNT,
        "retrying": _HELD,
    },
)
SUBSCRIPTIONS = listing(SUBSCRIPTION)


class SkipEvent(fields.Order):
    reason = fields.Text(shape=text(most=held.REASON_LENGTH, filled=True))


class Subscriptions(WritingDoor):
    """GET /subscriptions"""

    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    operations: ClassVar = {
        "GET": Operation(
            "list_subscriptions",
            "subscriptions",
            "How far each reader of the log is, and what is parked",
            answer=SUBSCRIPTIONS,
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        states = {each.name: each for each in status.states(self.tenant)}
        page, cursor = page_by_name(self.query, states)
        return listed([subscription_json(each) for each in page], cursor, seq)


class ParkedDoor(WritingDoor):
    """What is done to one parked stream; answers with its subscription."""

    rights: ClassVar = {"POST": Right.OPERATE}
    parameters: ClassVar = {
        "name": Parameter(text(least=1), "The subscription's name."),
        "stream_id": Parameter(text(least=1), "The parked stream, such as an agent's id."),
    }

    def object_exists(self) -> bool:
        # For what no name can hold, a database need not be asked.
        names = (self.kwargs["name"], self.kwargs["stream_id"])
        return all(map(str.isprintable, names)) and held.is_parked(self.tenant, *names)

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            if not self.object_exists():
                raise not_found()
            return response_of(self.go_on(once, **order))

        return self.answer_once(once, execute)

    def go_on(self, once: Once | None, **order: Any) -> Answer:
        """Do it. Raises Refused."""
        raise NotImplementedError

    def answer(self, _: object) -> Answer:
        """The subscription with the stream no longer parked, made just before that is written."""
        state = status.state_of(self.tenant, self.kwargs["name"])
        if state is None:
            raise not_found()
        return Answer(
            HTTPStatus.OK, subscription_json(going_on_with(state, self.kwargs["stream_id"]))
        )


class Retry(ParkedDoor):
    """POST /subscriptions/{name}/parked/{stream_id}/retry"""

    operations: ClassVar = {
        "POST": Operation(
            "retry_parked",
            "subscriptions",
            "Try a parked stream again",
            answer=SUBSCRIPTION,
        )
    }

    def go_on(self, once: Once | None, **_: Any) -> Answer:
        receipt = Receipt(self.answer, once)
        with transaction.atomic():  # no fact tells of it, so the key is kept by itself
            head = read.head(self.tenant)
            receipt.unchanged(None, head.seq if head else 0)
            held.retry(self.tenant, self.kwargs["name"], self.kwargs["stream_id"])
        return told(receipt)


class Skip(ParkedDoor):
    """POST /subscriptions/{name}/parked/{stream_id}/skip"""

    orders: ClassVar = {"POST": SkipEvent}
    operations: ClassVar = {
        "POST": Operation(
            "skip_parked",
            "subscriptions",
            "Go on behind the event that a stream is parked at",
            "For this subscription alone; the log keeps who did it, and why.",
            answer=SUBSCRIPTION,
        )
    }

    def go_on(self, once: Once | None, **order: Any) -> Answer:
        receipt = Receipt(self.answer, once)
        held.skip(
            self.tenant,
            self.kwargs["name"],
            self.kwargs["stream_id"],
            reason=order["reason"],
            by=self.context(order["reason"]),
            receipt=receipt,
        )
        return told(receipt)


def going_on_with(state: State, stream_id: str) -> State:
    """The state with this parked stream among those that are tried again, as of now."""
    named = [each for each in state.parked if each.stream_id == stream_id]
    if not named:
        return state
    parked = min(named, key=lambda each: each.stream_type)  # as `held` takes it
    again = replace(parked, attempts=0, retry_at=timezone.now(), parked_at=None)
    return replace(
        state,
        parked=[each for each in state.parked if each is not parked],
        retrying=[*state.retrying, again],
    )


def subscription_json(state: State) -> dict[str, Any]:
    return {
        "name": state.name,
        "kind": ("projection" if state.is_projection else "reaction") if state.is_here else None,
        "state": state.condition.value,
        "checkpoint": state.checkpoint,
        "head": state.head,
        "lag_events": state.lag_events,
        "lag_seconds": round(state.lag_seconds, 3),
        "stopped_reason": state.stopped_reason,
        "failures": state.failures,
        "last_error": state.last_error,
        "last_error_at": state.last_error_at and rfc3339(state.last_error_at),
        "parked_count": len(state.parked),
        "parked": _shown(state.parked),
        "retrying_count": len(state.retrying),
        "retrying": _shown(state.retrying),
    }


def _shown(streams: Sequence[HeldState]) -> list[dict[str, Any]]:
    return [_held_json(each) for each in streams[:HELD_SHOWN]]


def _held_json(stream: HeldState) -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "stream_type": stream.stream_type,
        "seq": stream.seq,
        "attempts": stream.attempts,
        "last_error": stream.last_error,
        "held_at": rfc3339(stream.held_at),
        "retry_at": stream.retry_at and rfc3339(stream.retry_at),
        "parked_at": stream.parked_at and rfc3339(stream.parked_at),
    }
