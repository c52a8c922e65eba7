"""/tokens: programs' ways into a tenant. Admins only. A secret is shown once and kept nowhere.

A POST that is repeated under its Idempotency-Key therefore gets its first answer with a null
`token`: the client learns which token was made, revokes it by its id and makes another.
"""

import uuid
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from events import tenants
from events.access import Right
from events.api import fields
from events.api.members import gone, told
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation
from events.api.openapi.shape import (
    AGENT_ID,
    MOMENT,
    UUID,
    choice,
    listing,
    or_null,
    text,
    thing,
)
from events.api.paging import cursor_of, key_after, listed, no_such_cursor
from events.api.problem import not_found
from events.idempotency import Answer, Receipt
from events.models import Role, Token
from events.moments import parse_rfc3339, rfc3339

NAME = text(most=tenants.TOKEN_NAME_LENGTH, least=1)
ROLE = choice(Role)
_TOKEN = {
    "id": UUID,
    "name": NAME,
    "role": ROLE,
    "agent_id": or_null(text()),
    "created_at": MOMENT,
    "expires_at": or_null(MOMENT),
    "last_used_at": or_null(MOMENT),
    "revoked_at": or_null(MOMENT),
}
TOKEN = thing("Token", _TOKEN)
TOKENS = listing(TOKEN)
ISSUED = thing(
    "IssuedToken",
    _TOKEN
    | {
        "token": or_null(text()).saying(
            "The secret, shown this once. null: the request was repeated under its key."
        )
    },
)


class IssueToken(fields.Order):
    name = fields.Text(shape=NAME)
    role = fields.Text(shape=ROLE)
    agent_id = fields.Text(shape=AGENT_ID, required=False, allow_null=True)  # of the role agent
    expires_at = fields.Moment(required=False, allow_null=True)  # to come


def token_json(token: Token) -> dict[str, Any]:
    def moment(name: str) -> str | None:
        value = getattr(token, name)
        return None if value is None else rfc3339(value)

    return {
        "id": str(token.id),
        "name": token.name,
        "role": token.role,
        "agent_id": token.agent_id,
        "created_at": moment("created_at"),
        "expires_at": moment("expires_at"),
        "last_used_at": moment("last_used_at"),
        "revoked_at": moment("revoked_at"),
    }


class Tokens(WritingDoor):
    """GET and POST /tokens"""

    rights: ClassVar = {"GET": Right.OVERSEE, "POST": Right.ADMINISTER}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    orders: ClassVar = {"POST": IssueToken}
    operations: ClassVar = {
        "GET": Operation("list_tokens", "access", "The tenant's tokens", answer=TOKENS),
        "POST": Operation(
            "issue_token",
            "access",
            "Make a token",
            "`agent_id` is for the role agent, which needs it.",
            answer=ISSUED,
            status=HTTPStatus.CREATED,
        ),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        limit, key = self.query.limit(), key_after(self.query, parts=2)
        seq = self.head_seq()
        tokens = Token.objects.filter(tenant=self.tenant)
        if key is not None:
            try:
                made, token_id = parse_rfc3339(key[0]), uuid.UUID(key[1])
            except ValueError:
                raise no_such_cursor() from None
            tokens = tokens.filter(Q(created_at__gt=made) | Q(created_at=made, id__gt=token_id))
        found = list(tokens.order_by("created_at", "id")[: limit + 1])
        last = found[limit - 1] if len(found) > limit else None
        cursor = cursor_of(rfc3339(last.created_at), str(last.id)) if last else None
        return listed([token_json(each) for each in found[:limit]], cursor, seq)

    def post(self, request: Request, **_: str) -> HttpResponse:
        order, once = self.order(request), self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(self._issued, once)
            _, secret = tenants.issue_token(
                self.tenant, **order, by=self.context(), receipt=receipt
            )
            answer = told(receipt)
            response = response_of(answer)
            response.content = msgspec.json.encode({**answer.body, "token": secret})
            return response

        return self.answer_once(once, execute)

    def _issued(self, token: Token) -> Answer:
        location = f"/api/v1/tenants/{self.tenant}/tokens/{token.id}"
        return Answer(HTTPStatus.CREATED, {**token_json(token), "token": None}, location)


class OneToken(WritingDoor):
    """GET and DELETE /tokens/{token_id}"""

    rights: ClassVar = {"GET": Right.OVERSEE, "DELETE": Right.ADMINISTER}
    known: ClassVar = {"GET": ("min_seq",)}
    operations: ClassVar = {
        "GET": Operation("read_token", "access", "One token, without its secret", answer=TOKEN),
        "DELETE": Operation(
            "revoke_token",
            "access",
            "Revoke a token",
            "Again is no error.",
            status=HTTPStatus.NO_CONTENT,
        ),
    }

    def object_exists(self) -> bool:
        return self._token() is not None

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        token = self._token()
        if token is None:
            raise not_found()
        return response_of(Answer(HTTPStatus.OK, token_json(token), seq=seq))

    def delete(self, _: Request, **__: str) -> HttpResponse:
        token = self._token()
        if token is None:
            raise not_found()
        receipt = Receipt(lambda _: Answer(HTTPStatus.NO_CONTENT, {}))
        tenants.revoke_token(self.tenant, token.id, by=self.context(), receipt=receipt)
        return gone(receipt)

    def _token(self) -> Token | None:
        try:
            token_id = uuid.UUID(self.kwargs["token_id"])
        except ValueError:
            return None
        return Token.objects.filter(tenant=self.tenant, id=token_id).first()
