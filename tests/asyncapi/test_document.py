"""The AsyncAPI document: complete, valid by its own standard, kept, and served to everybody."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from events import registry
from events.cloudevents import CloudEvent, cloud_event, schemas
from events.log.cursor import Position
from events.management import kept_document
from events.registry import Kind
from projections.asyncapi import events
from projections.asyncapi.document import document, served
from projections.relay import messages as relay
from projections.stream import frames
from projections.stream.wishes import PARAMETERS
from tests.asyncapi.described import faults
from tests.schemas.rows import row_of
from tests.stream.client import messages

STANDARD = json.loads((Path(__file__).parent / "asyncapi-3.0.0.json").read_text())
KINDS = registry.kinds()
NEWEST = events.newest()
PLACE = Position(41, bytes(range(32)))


def is_valid(found: dict[str, Any]) -> bool:
    return bool(jsonschema_rs.Draft7Validator(STANDARD).is_valid(found))


def test_it_is_valid_by_the_standards_own_schema() -> None:
    assert is_valid(document())
    for broken in ("asyncapi", "info", "channels", "operations"):
        found = copy.deepcopy(document())
        found[broken] = {"nonsense": 1}
        assert not is_valid(found), broken


def test_every_reference_leads_somewhere() -> None:
    def follow(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                found: Any = document()
                for key in part["$ref"].removeprefix("#/").split("/"):
                    found = found[key]
            for each in part.values():
                follow(each)
        elif isinstance(part, list):
            for each in part:
                follow(each)

    follow(document())


def test_every_version_of_every_type_has_its_message() -> None:
    stream, relayed = (document()["channels"][name]["messages"] for name in ("stream", "relay"))

    assert set(stream) == {"stream-open", "stream-reset", *map(events.name_of, KINDS)}
    assert set(relayed) == set(registry.types())
    assert document()["channels"]["relay"]["parameters"]["type"]["enum"] == list(registry.types())


def test_the_query_is_that_of_the_door() -> None:
    query = document()["operations"]["followStream"]["bindings"]["http"]["query"]

    assert set(query["properties"]) == set(PARAMETERS)
    assert query["properties"]["schema"]["enum"] == list(schemas())


def test_the_envelope_has_the_attributes_of_a_cloud_event() -> None:
    envelope = document()["components"]["schemas"]["CloudEvent"]
    fields = CloudEvent.__struct_fields__
    always = [name for name in fields if name not in CloudEvent.__struct_defaults__]

    assert set(envelope["properties"]) == set(fields)
    assert set(envelope["required"]) <= set(always)
    assert set(fields) - set(envelope["required"]) == {
        *("subject", "origin", "reason", "correlationid", "causationid", "traceparent")
    }


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("is_full", [True, False], ids=["full", "bare"])
def test_every_kind_of_event_is_as_described(kind: Kind, is_full: bool) -> None:
    row = row_of(kind, is_full=is_full)
    for pin in (None, *schemas()):
        frame = frames.event_frame(row, PLACE, schema=pin, show_origin=True)
        (read,) = messages(iter(frame.decode().split("\n")))
        name = f"stream.{kind.type}-{read.json['schemaversion']}"

        assert faults(name, "payload", read.json) == []
        assert faults(name, "headers", {"id": read.id, "event": read.event}) == []
    body = json.loads(cloud_event(row, schema=None, show_origin=False))
    assert faults(f"relay.{kind.type}", "payload", body) == []


@pytest.mark.parametrize("kind", NEWEST, ids=str)
def test_what_no_event_is_is_not_as_described(kind: Kind) -> None:
    body = json.loads(cloud_event(row_of(kind, is_full=True), schema=None, show_origin=True))
    changes: list[dict[str, Any]] = [
        {"surprise": "x"},
        {"reason": None},
        {"seq": 42},
        {"type": "Else"},
        {"schemaversion": "9.0"},
        {"source": "/tenants/acme/else"},
        {"dataschema": "https://x/api/v1/schemas/Else/1.0"},
        {"data": {**body["data"], "surprise": 1}},
        {"data": {}},
    ]
    for change in changes:
        assert faults(f"relay.{kind.type}", "payload", body | change), change


def test_the_frames_beside_the_events_are_as_described() -> None:
    for name, frame in {
        "stream-open": frames.open_frame(PLACE, 50),
        "stream-reset": frames.reset_frame("The log was restored.", PLACE),
    }.items():
        (read,) = messages(iter(frame.decode().split("\n")))

        assert faults(f"stream.{name}", "payload", read.json) == []
        assert faults(f"stream.{name}", "headers", {"id": read.id, "event": read.event}) == []
        assert faults(f"stream.{name}", "payload", {})
    described = document()["channels"]["stream"]["x-server-sent-events"]
    assert described["retryMs"] == frames.RETRY_MS
    assert described["signOfLifeSeconds"] < 15


def test_the_relays_subject_and_headers_are_as_described() -> None:
    row = row_of(NEWEST[0], is_full=True)
    address = document()["channels"]["relay"]["address"]
    message = relay._message(row, None)

    assert isinstance(message, relay.Message)
    expected = {"{tenant}": "acme", "{type}": row.type, "{agent}": "a-1"}
    for name, value in expected.items():
        address = address.replace(name, value)
    assert message.subject == address
    assert faults(f"relay.{row.type}", "headers", dict(message.headers)) == []
    assert faults(f"relay.{row.type}", "headers", {})


def test_the_kept_document_is_that_of_the_registry() -> None:
    call_command("asyncapi", "--check")

    assert (kept_document.FOLDER / "asyncapi.json").read_bytes() == served()


def test_a_document_that_is_out_of_date_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kept_document, "FOLDER", tmp_path)

    with pytest.raises(CommandError, match=r"Run manage\.py asyncapi"):
        call_command("asyncapi", "--check")
    call_command("asyncapi")
    call_command("asyncapi", "--check")


@pytest.mark.usefixtures("committed_db")
def test_it_is_served_to_anybody_and_may_be_kept() -> None:
    response = Client().get("/api/v1/asyncapi.json")

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.content == served()
    assert response["Cache-Control"] == "public, max-age=300"
    again = Client().get("/api/v1/asyncapi.json", headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert Client().post("/api/v1/asyncapi.json").status_code == 405
    assert settings.PUBLIC_URL not in response.content.decode().replace("127.0.0.1:8000", "")
