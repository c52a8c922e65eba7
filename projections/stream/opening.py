"""GET /stream: the view that opens a stream, a door like any other.

A refusal is an ordinary response. Otherwise an Order goes into the request's ASGI scope, and
`stream.door` takes the connection over; the view's thread and its connection are free by then.
"""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from events.access import Right
from events.api.door import SEQ, TenantDoor
from events.api.openapi.headers import PLACE
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import ANYTHING
from events.api.problem import forbidden, not_found
from events.log import cursor
from events.log.cursor import NotInTheLog, Position
from events.ratelimits.scopes import Scope
from projections.stream import reading
from projections.stream.follower import Order
from projections.stream.passes import Pass
from projections.stream.wishes import HEADER, PARAMETERS, Wishes, read_wishes

ORDER = "agentmesh.stream.order"  # the scope's key; None: a stream's head alone, for HEAD


class Stream(TenantDoor):
    """A tenant's log, live and from any point."""

    known: ClassVar = {"GET": PARAMETERS}
    scopes: ClassVar = {"GET": Scope.STREAM}  # HEAD opens none
    parameters: ClassVar = {
        "after": Parameter(PLACE, "Begin after this seq; 0 is before the first."),
        "lastEventId": Parameter(PLACE, "Like `Last-Event-ID`, for who cannot send a header."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "follow_events",
            "events",
            "The log as a stream of server-sent events",
            "From where you say, or from now on: nothing lost, repeated or out of order. Each "
            "event's `id` is a place to go on from, `event` its type, `data` a CloudEvent on one "
            "line.",
            content={"text/event-stream": ANYTHING},
        )
    }

    @classmethod
    def takes(cls, method: str) -> tuple[str, ...]:
        return (*super().takes(method), HEADER)

    @classmethod
    def may_refuse(cls, method: str) -> frozenset[str]:
        return super().may_refuse(method) - {"not_acceptable"}

    def authorize(self, request: Request) -> None:
        super().authorize(request)
        if self.principal.token is None and _comes_from_elsewhere(request):
            raise forbidden("With a browser's session a stream is opened by our own pages alone.")

    def perform_content_negotiation(self, request: Request, force: bool = False) -> None:  # type: ignore[override]
        """EventSource accepts text/event-stream alone, which no renderer of DRF makes."""

    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Order the stream. HEAD comes here too, as Django has it, and orders none."""
        last_event_id = request.headers.get(HEADER, "")
        wishes = read_wishes(self.query, last_event_id, only=self.principal.agent_id)
        head = self._head()
        response = HttpResponse(content_type="text/event-stream")
        response.headers[SEQ] = str(head.seq)
        response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        http_request = request._request  # noqa: SLF001
        scope = getattr(http_request, "scope", {})  # under WSGI there is none, and no stream
        session_key = http_request.session.session_key
        scope[ORDER] = self._order(head, session_key, wishes) if request.method == "GET" else None
        return response

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)
        # Whoever compresses on the way would wait until there is enough to compress.
        response.headers["Cache-Control"] = "no-store, no-transform"
        return response

    def _head(self) -> Position:
        try:
            return cursor.head(self.tenant)
        except NotInTheLog:
            raise not_found() from None

    def _order(self, head: Position, session_key: str | None, wishes: Wishes) -> Order:
        start, reset_reason = head, None
        if wishes.start is not None:
            try:
                start = reading.locate(self.tenant, wishes.start, head)
            except NotInTheLog as difference:
                reset_reason = difference.reason
        return Order(
            entry=Pass.of(self.principal, session_key),
            filter=wishes.filter,
            schema=wishes.schema,
            show_origin=self.principal.may(Right.AUDIT),
            reads_payloads=self.principal.may(Right.READ_PAYLOADS),
            start=start,
            head=head,
            reset_reason=reset_reason,
        )


def _comes_from_elsewhere(request: Request) -> bool:
    """Whether another site's page asks. The cookie stays at home then (SameSite) and the answer
    could not be read (no CORS); this keeps it from being made. Browsers alone send the header."""
    return request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}
