"""GET /api/v1/schemas and one schema of it: what `dataschema` of an event points to."""

from functools import cache
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from events import registry
from events.api.open_door import OpenDoor
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import OBJECT, Shape, choice, listing, some_of, text, thing
from events.api.paging import cursor_of, key_after
from events.api.problem import not_found
from events.cloudevents import dataschema
from events.schemas import document

_VERSION = {
    "version": text(),
    "dataschema": Shape({"type": "string", "format": "uri"}),
    "sha256": text(pattern="^[0-9a-f]{64}$"),
}
SCHEMAS = listing(
    thing(
        "EventType",
        {
            "type": text(),
            "newest": text(),
            "versions": some_of(thing("EventTypeVersion", _VERSION)).saying("The newest last."),
        },
    )
)


class Schemas(OpenDoor):
    """GET /schemas: {items: [{type, newest, versions: [{version, dataschema, sha256}]}], next}"""

    known: ClassVar = {"GET": ("cursor", "limit")}
    operations: ClassVar = {
        "GET": Operation(
            "list_schemas",
            "about",
            "The types of events, with the versions of each",
            answer=SCHEMAS,
            has_etag=True,
        )
    }

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
    parameters: ClassVar = {
        "type": Parameter(choice(sorted(registry.types())), "The type of event."),
        "version": Parameter(choice(registry.all_versions()), "One of its versions."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "read_schema",
            "about",
            "The JSON Schema of an event's `data`",
            "It never changes; `dataschema` of an event points to it.",
            content={document.CONTENT_TYPE: OBJECT},
            has_etag=True,
            refuses=("not_found",),
        )
    }

    def get(self, _: Request, type: str, version: str) -> HttpResponse:
        try:
            schema = document.served(type, version)
        except registry.UnknownFact:
            raise not_found() from None
        return self.cacheable(schema, document.CONTENT_TYPE)

    def object_exists(self) -> bool:
        return (self.kwargs["type"], self.kwargs["version"]) in registry.kinds()


def _item(name: str) -> dict[str, Any]:
    versions = registry.versions(name)
    return {
        "type": name,
        "newest": versions[-1],
        "versions": [
            {
                "version": version,
                "dataschema": dataschema(name, version),
                "sha256": _sha256(name, version),
            }
            for version in versions
        ],
    }


@cache
def _sha256(name: str, version: str) -> str:
    return document.sha256(document.document(name, version))
