"""The document of the API: OpenAPI 3.1, made of the doors on the one page of all URLs."""

from functools import cache
from typing import Any

import msgspec
from drf_spectacular.generators import SchemaGenerator

from events.api.openapi.shape import Schema

CONTENT_TYPE = "application/vnd.oai.openapi+json;version=3.1"


@cache
def document() -> Schema:
    """Raises TypeError for a door that does not declare all it has to: docs/openapi.md."""
    untyped: Any = SchemaGenerator
    found: Schema = untyped().get_schema(request=None, public=True)
    return found


@cache
def served() -> bytes:
    """The document as readers get it, and as docs/openapi.json keeps it."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"
