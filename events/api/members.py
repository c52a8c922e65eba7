"""/members: who may enter a tenant. Admins only."""

from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from events import tenants
from events.access import Right
from events.api import fields
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import TRUTH, choice, listing, text, thing
from events.api.paging import cursor_of, key_after, listed
from events.api.problem import not_found
from events.idempotency import Answer, Receipt
from events.models import MEMBER_ROLES, Membership

ROLE = choice(MEMBER_ROLES)
MEMBER = thing("Member", {"username": text(), "role": ROLE, "suspended": TRUTH})
MEMBERS = listing(MEMBER)


class AddMember(fields.Order):
    username = fields.Text()
    role = fields.Text(shape=ROLE)


class ChangeMember(fields.Order):
    role = fields.Text(shape=ROLE, required=False)
    suspended = fields.Truth(required=False)


def member_json(member: Membership) -> dict[str, Any]:
    return {
        "username": member.user.username,
        "role": member.role,
        "suspended": member.suspended,
    }


class Members(WritingDoor):
    """GET and POST /members"""

    rights: ClassVar = {"GET": Right.OVERSEE, "POST": Right.ADMINISTER}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    orders: ClassVar = {"POST": AddMember}
    operations: ClassVar = {
        "GET": Operation("list_members", "access", "Who may enter the tenant", answer=MEMBERS),
        "POST": Operation(
            "add_member",
            "access",
            "Let a person in",
            "Somebody who can sign in already: `manage.py create_member` makes people.",
            answer=MEMBER,
            status=HTTPStatus.CREATED,
            refuses=("already_exists",),
        ),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        limit, key = self.query.limit(), key_after(self.query)
        seq = self.head_seq()
        members = Membership.objects.filter(tenant=self.tenant).select_related("user")
        if key is not None:
            members = members.filter(user__username__gt=key[0])
        found = list(members.order_by("user__username")[: limit + 1])
        more = len(found) > limit
        cursor = cursor_of(found[limit - 1].user.username) if more else None
        return listed([member_json(each) for each in found[:limit]], cursor, seq)

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(self._added, once)
            tenants.add_member(self.tenant, **order, by=self.context(), receipt=receipt)
            return response_of(told(receipt))

        return self.answer_once(once, execute)

    def _added(self, member: Membership) -> Answer:
        location = f"/api/v1/tenants/{self.tenant}/members/{quote(member.user.username)}"
        return Answer(HTTPStatus.CREATED, member_json(member), location)


class Member(WritingDoor):
    """GET, PATCH and DELETE /members/{username}"""

    rights: ClassVar = {
        "GET": Right.OVERSEE,
        "PATCH": Right.ADMINISTER,
        "DELETE": Right.ADMINISTER,
    }
    known: ClassVar = {"GET": ("min_seq",)}
    orders: ClassVar = {"PATCH": ChangeMember}
    parameters: ClassVar = {"username": Parameter(text(least=1), "The member's name.")}
    operations: ClassVar = {
        "GET": Operation("read_member", "access", "One member", answer=MEMBER),
        "PATCH": Operation(
            "change_member",
            "access",
            "Change a member's role, or suspend it",
            "Somebody who is an admin always remains.",
            answer=MEMBER,
            refuses=("rule_violated",),
        ),
        "DELETE": Operation(
            "remove_member",
            "access",
            "Remove a member",
            status=HTTPStatus.NO_CONTENT,
            refuses=("rule_violated",),
        ),
    }

    def object_exists(self) -> bool:
        return self._member().exists()

    def _member(self) -> QuerySet[Membership]:
        # For what no name can hold, a database need not be asked.
        username: str = self.kwargs["username"]
        known = username if username.isprintable() else ""
        return Membership.objects.filter(tenant=self.tenant, user__username=known)

    def _username(self) -> str:
        """The member's, who is there. Raises Problem (404)."""
        if not self.object_exists():
            raise not_found()
        username: str = self.kwargs["username"]
        return username

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        member = self._member().select_related("user").first()
        if member is None:
            raise not_found()
        return response_of(Answer(HTTPStatus.OK, member_json(member), seq=seq))

    def patch(self, request: Request, **_: str) -> HttpResponse:
        username = self._username()
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(lambda member: Answer(HTTPStatus.OK, member_json(member)), once)
            tenants.change_member(
                self.tenant, username, **order, by=self.context(), receipt=receipt
            )
            return response_of(told(receipt))

        return self.answer_once(once, execute)

    def delete(self, _: Request, **__: str) -> HttpResponse:
        receipt = Receipt(lambda _: Answer(HTTPStatus.NO_CONTENT, {}))
        tenants.remove_member(self.tenant, self._username(), by=self.context(), receipt=receipt)
        return gone(receipt)


def told(receipt: Receipt) -> Answer:
    if receipt.answer is None:
        raise RuntimeError("The service left the receipt without an answer.")
    return receipt.answer


def gone(receipt: Receipt) -> HttpResponse:
    """204, without a body and so without a type of one."""
    response = response_of(told(receipt))
    response.content = b""
    del response.headers["Content-Type"]
    return response
