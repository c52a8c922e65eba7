"""GET /api/v1/asyncapi.json: what AgentMesh sends by itself, for programs."""

from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from events.api.open_door import OpenDoor
from events.api.openapi.operation import Operation
from events.api.openapi.shape import OBJECT
from projections.asyncapi import document


class AsyncAPI(OpenDoor):
    """GET /asyncapi.json"""

    operations: ClassVar = {
        "GET": Operation(
            "read_asyncapi",
            "about",
            "The stream and the relay, as AsyncAPI 3",
            answer=OBJECT,
            has_etag=True,
        )
    }

    def get(self, _: Request) -> HttpResponse:
        return self.cacheable(document.served())
