"""/saved-views: queries of the timeline that a tenant's people share.

A view's query is what GET /events takes, checked by the same code; `events` leads there.
"""

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.http import HttpResponse
from rest_framework.request import Request

from events import saved_views
from events.access import Right
from events.api import fields
from events.api.members import gone, told
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import QUERY
from events.api.openapi.shape import MOMENT, UUID, listing, text, thing
from events.api.paging import cursor_of, key_after, listed
from events.api.problem import Problem, invalid_field, not_found
from events.api.query import Query
from events.api.strict_json import escaped
from events.api.timeline import OF_THE_LOG, is_descending, wanted_of
from events.idempotency import Answer, Receipt
from events.models import SavedView
from events.moments import rfc3339

QUERY_FIELDS = (*OF_THE_LOG, "order")

NAME = text(least=1, most=saved_views.NAME_LENGTH, filled=True)
ASKED = thing(
    "SavedQuery",
    {name: QUERY[name].shape for name in QUERY_FIELDS},
    optional=QUERY_FIELDS,
    description="As the parameters of `/events`, each as it is written there.",
)
VIEW = thing(
    "SavedView",
    {
        "id": UUID,
        "name": NAME,
        "query": ASKED,
        "events": text().saying("The path that gives these events."),
        "created_by": text(),
        "created_at": MOMENT,
        "updated_by": text(),
        "updated_at": MOMENT,
    },
)


class CreateView(fields.Order):
    name = fields.Text(shape=NAME)
    query = fields.Object(shape=ASKED)


class ChangeView(fields.Order):
    name = fields.Text(shape=NAME, required=False)
    query = fields.Object(shape=ASKED, required=False)


class ViewDoor(WritingDoor):
    """What the routes of saved views have in common."""

    def view_json(self, view: SavedView) -> dict[str, Any]:
        events = f"/api/v1/tenants/{self.tenant}/events"
        # PostgreSQL keeps the fields in an order of its own.
        query = {name: view.query[name] for name in QUERY_FIELDS if name in view.query}
        return {
            "id": str(view.id),
            "name": view.name,
            "query": query,
            "events": f"{events}?{urlencode(query)}" if query else events,
            "created_by": view.created_by,
            "created_at": rfc3339(view.created_at),
            "updated_by": view.updated_by,
            "updated_at": rfc3339(view.updated_at),
        }

    def view_order(self, request: Request) -> dict[str, Any]:
        order = self.order(request)
        if "query" in order:
            check_query(order["query"], self.tenant)
        return order


class SavedViews(ViewDoor):
    """GET and POST /saved-views"""

    rights: ClassVar = {"GET": Right.OVERSEE, "POST": Right.OPERATE}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    orders: ClassVar = {"POST": CreateView}
    operations: ClassVar = {
        "GET": Operation(
            "list_saved_views", "events", "Queries of the log that are shared", answer=listing(VIEW)
        ),
        "POST": Operation(
            "create_saved_view",
            "events",
            "Share a query of the log",
            "Under a name that no other has in the tenant.",
            answer=VIEW,
            status=HTTPStatus.CREATED,
            refuses=("already_exists", "rule_violated"),
        ),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        limit, key = self.query.limit(), key_after(self.query)
        seq = self.head_seq()
        views = saved_views.of(self.tenant)
        if key is not None:
            views = views.filter(name__gt=key[0])
        found = list(views[: limit + 1])
        cursor = cursor_of(found[limit - 1].name) if len(found) > limit else None
        return listed([self.view_json(each) for each in found[:limit]], cursor, seq)

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.view_order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(self._created, once)
            saved_views.create(self.tenant, **order, by=self.principal.actor, receipt=receipt)
            return response_of(told(receipt))

        return self.answer_once(once, execute)

    def _created(self, view: SavedView) -> Answer:
        location = f"/api/v1/tenants/{self.tenant}/saved-views/{view.id}"
        return Answer(HTTPStatus.CREATED, self.view_json(view), location)


class OneSavedView(ViewDoor):
    """GET, PATCH and DELETE /saved-views/{view_id}"""

    rights: ClassVar = {"GET": Right.OVERSEE, "PATCH": Right.OPERATE, "DELETE": Right.OPERATE}
    known: ClassVar = {"GET": ("min_seq",)}
    orders: ClassVar = {"PATCH": ChangeView}
    parameters: ClassVar = {"view_id": Parameter(UUID, "The view's `id`.")}
    operations: ClassVar = {
        "GET": Operation("read_saved_view", "events", "One shared query", answer=VIEW),
        "PATCH": Operation(
            "change_saved_view",
            "events",
            "Change a shared query",
            "What is given is changed; a query as a whole.",
            answer=VIEW,
            refuses=("already_exists",),
        ),
        "DELETE": Operation(
            "delete_saved_view", "events", "Delete a shared query", status=HTTPStatus.NO_CONTENT
        ),
    }

    def object_exists(self) -> bool:
        return self._view() is not None

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        return response_of(Answer(HTTPStatus.OK, self.view_json(self._there()), seq=seq))

    def patch(self, request: Request, **_: str) -> HttpResponse:
        view_id = self._there().id
        order, once = self.view_order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(lambda view: Answer(HTTPStatus.OK, self.view_json(view)), once)
            saved_views.change(
                self.tenant, view_id, **order, by=self.principal.actor, receipt=receipt
            )
            return response_of(told(receipt))

        return self.answer_once(once, execute)

    def delete(self, _: Request, **__: str) -> HttpResponse:
        receipt = Receipt(lambda _: Answer(HTTPStatus.NO_CONTENT, {}))
        saved_views.delete(self.tenant, self._there().id, receipt=receipt)
        return gone(receipt)

    def _there(self) -> SavedView:
        view = self._view()
        if view is None:
            raise not_found()
        return view

    def _view(self) -> SavedView | None:
        try:
            view_id = uuid.UUID(self.kwargs["view_id"])
        except ValueError:
            return None
        return saved_views.of(self.tenant).filter(pk=view_id).first()


def check_query(given: Mapping[str, Any], tenant: str) -> None:
    """Whether GET /events would take it. Raises Problem (400), which points into the body."""
    for name, value in given.items():
        if not isinstance(value, str):
            raise invalid_field(f"query/{escaped(name[:64])}", "must be text, as in a URL.")
    try:
        query = Query(given.items(), QUERY_FIELDS)
        wanted_of(query, tenant)
        is_descending(query)
    except Problem as refusal:
        (error,) = refusal.errors
        raise invalid_field(f"query/{escaped(error['parameter'])}", error["detail"]) from None
