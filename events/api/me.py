"""GET /api/v1/me: who am I to AgentMesh, and where may I go?"""

from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from events import access
from events.api.door import Door, json_response
from events.api.openapi.operation import Operation
from events.api.openapi.shape import MOMENT, choice, some_of, text, thing
from events.models import Role, Token
from events.moments import rfc3339

ME = thing(
    "Me",
    {
        "actor": text(),
        "tenants": some_of(thing("Access", {"slug": text(), "role": choice(Role)})),
        "expires_at": MOMENT.saying("Of a token that expires."),
    },
    optional=("expires_at",),
)


class Me(Door):
    """{actor, tenants: [{slug, role}], expires_at?}"""

    operations: ClassVar = {
        "GET": Operation("read_me", "access", "Who am I, and where may I go?", answer=ME)
    }

    def get(self, request: Request) -> HttpResponse:
        token = request.auth
        body: dict[str, Any]
        if isinstance(token, Token):
            actor = access.actor_of_token(token)
            body = {"actor": actor, "tenants": [{"slug": token.tenant_id, "role": token.role}]}
            if token.expires_at is not None:
                body["expires_at"] = rfc3339(token.expires_at)
        else:
            roles = access.tenants_of_user(request.user)
            body = {
                "actor": f"user:{request.user.get_username()}",
                "tenants": [{"slug": slug, "role": role} for slug, role in roles.items()],
            }
        return json_response(msgspec.json.encode(body))
