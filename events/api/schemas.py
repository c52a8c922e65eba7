"""GET /api/v1/schemas and one schema of it: what `dataschema` of an event points to."""

from functools import cache
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from events import registry
from events.api.open_door import OpenDoor
from events.api.paging import cursor_of, key_after
from events.api.problem import not_found
from events.cloudevents import dataschema
from events.schemas import document


class Schemas(OpenDoor):
    """GET /schemas: {items: [{type, newest, versions: [{version, dataschema, sha256}]}], next}"""

    known: ClassVar = {"GET": ("cursor", "limit")}

    def get(self, _: Request) -> HttpResponse:
        limit, key = self.query.limit(), key_after(self.query)
        names = sorted(name for name in registry.types() if key is None or name > key[0])
        cursor = cursor_of(names[limit - 1]) if len(names) > limit else None
        items = [_item(name) for name in names[:limit]]
        return self.cacheable(msgspec.json.encode({"items": items, "next": cursor}))


class SchemaRenderer(BaseRenderer):
    """Only says what may be accepted."""

    media_type = document.CONTENT_TYPE


class OneSchema(OpenDoor):
    """GET /schemas/{type}/{version}: the JSON Schema."""

    renderer_classes = (SchemaRenderer, JSONRenderer)

    def get(self, _: Request, type: str, version: str) -> HttpResponse:
        try:
            schema = document.served(type, version)
        except registry.UnknownFact:
            raise not_found() from None
        return self.cacheable(schema, document.CONTENT_TYPE)

    def object_exists(self) -> bool:
        return (self.kwargs["type"], self.kwargs["version"]) in registry.kinds()


@cache
def _item(name: str) -> dict[str, Any]:
    versions = registry.versions(name)
    return {
        "type": name,
        "newest": versions[-1],
        "versions": [
            {
                "version": version,
                "dataschema": dataschema(name, version),
                "sha256": document.sha256(document.document(name, version)),
            }
            for version in versions
        ],
    }
