"""The document of the API: complete, valid by its own standard, kept, and served to everybody."""

import json
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.plumbing import ComponentRegistry
from drf_spectacular.validation import validate_schema

from events.api.door import Door
from events.api.fields import Order
from events.api.fields import Text as TextField
from events.api.openapi import orders
from events.api.openapi.autoschema import DoorSchema, Undeclared
from events.api.openapi.components import Components, SameName
from events.api.openapi.document import document, served
from events.api.openapi.operation import Operation
from events.api.openapi.shape import NOT_ALL_BLANK, Shape, thing
from events.management import kept_document
from tests.api.routes import ROUTES

PATH = "/api/v1/openapi.json"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def doors(found: Any = None, prefix: str = "/") -> Iterator[tuple[str, type]]:
    """Every route that a door serves, as the document writes its path."""
    for each in (found or get_resolver()).url_patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(each.pattern))
        if isinstance(each, URLResolver):
            yield from doors(each, path)
        elif isinstance(each, URLPattern) and hasattr(each.callback, "cls"):
            yield path, each.callback.cls


def test_it_is_valid_and_of_the_version_that_it_says() -> None:
    assert document()["openapi"].startswith("3.1.")
    validate: Any = validate_schema
    validate(document())


def test_every_route_with_every_method_is_there() -> None:
    served_routes = {
        (path, method)
        for path, door in doors()
        for method in door().allowed_methods
        if method not in ("OPTIONS", "HEAD")
    }

    assert {(path, method) for path, method, _ in operations()} == served_routes
    assert len(served_routes) > len(ROUTES)


def test_every_operation_says_what_it_is() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    tags = {tag["name"] for tag in document()["tags"]}

    assert len(ids) == len(set(ids))
    for path, method, operation in operations():
        assert operation["summary"][0].isupper(), f"{method} {path}"
        assert not operation["summary"].endswith("."), f"{method} {path}"
        assert set(operation["tags"]) <= tags, f"{method} {path}"
        assert any(status.startswith("2") for status in operation["responses"])


def test_whoever_needs_a_login_is_told_how_and_refused_without() -> None:
    for path, method, operation in operations():
        needs_login = {} not in operation["security"]
        assert needs_login == ("401" in operation["responses"]), f"{method} {path}"
        assert "429" in operation["responses"], f"{method} {path}"


def test_the_kept_document_is_that_of_the_doors() -> None:
    call_command("openapi", "--check")

    assert (kept_document.FOLDER / "openapi.json").read_bytes() == served()


def test_a_document_that_is_out_of_date_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(kept_document, "FOLDER", tmp_path)

    with pytest.raises(CommandError, match=r"Run manage\.py openapi"):
        call_command("openapi", "--check")
    call_command("openapi")
    call_command("openapi", "--check")


def test_blank_is_in_the_document_what_is_blank_to_the_rules() -> None:
    characters = map(chr, range(sys.maxunicode + 1))
    differing = [
        each for each in characters if bool(re.search(NOT_ALL_BLANK, each)) == each.isspace()
    ]
    assert differing == []


class Silent(Door):
    def get(self) -> None: ...


class Vague(Silent):
    known: ClassVar = {"GET": ("nobody_knows",)}
    operations: ClassVar = {"GET": Operation("look", "about", "Look")}


@pytest.mark.parametrize(
    ("door", "what"), [(Silent, "operation for GET"), (Vague, "parameter nobody_knows")]
)
def test_a_door_that_does_not_say_all_is_a_fault_with_its_name(door: type[Door], what: str) -> None:
    view = door()
    schema = DoorSchema()
    schema.view = view

    with pytest.raises(Undeclared, match=f"{door.__name__} declares no {what}"):
        schema.get_operation("/x", "", "", "GET", ComponentRegistry())


def test_two_shapes_of_one_name_are_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    components = Components(ComponentRegistry())
    components.schema(thing("Chest", {}))

    with pytest.raises(SameName, match="Chest"):
        components.schema(thing("Chest", {"key": Shape()}))


def test_a_body_has_the_fields_of_its_order_and_no_others() -> None:
    class Bury(Order):
        """Deep."""

        name = TextField(shape=Shape({"type": "string", "maxLength": 3}))
        note = TextField(required=False, allow_null=True)

    assert orders.shape_of(Bury).name == "Bury"
    assert Components(ComponentRegistry()).schema(orders.shape_of(Bury).schema) == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 3},
            "note": {"type": ["string", "null"]},
        },
        "additionalProperties": False,
        "required": ["name"],
        "description": "Deep.",
    }


def test_it_is_served_to_anybody_and_may_be_kept() -> None:
    response = Client().get(PATH)

    assert response.status_code == HTTPStatus.OK
    assert response.content == served()
    assert json.loads(response.content)["info"]["title"] == "AgentMesh"
    assert response["Cache-Control"] == "public, max-age=300"
    again = Client().get(PATH, headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_it_does_not_depend_on_where_it_is_served() -> None:
    assert settings.PUBLIC_URL not in served().decode()
