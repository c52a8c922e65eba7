"""The CloudEvents project's own SDK takes what we send, and reads in it what we wrote."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http
from cloudevents.core.bindings.http import HTTPMessage
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from django.conf import settings

from events import registry
from events.cloudevents import cloud_event, schemas, served_version
from events.registry import Kind
from events.schemas import document
from tests.schemas.rows import OCCURRED, OPTIONAL, is_of_agent, row_of

KINDS = registry.kinds()
STANDARD = {
    *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
full_or_bare = pytest.mark.parametrize("is_full", [True, False], ids=["full", "bare"])


def sent(kind: Kind, *, pin: str | None = None, is_full: bool = True) -> bytes:
    return cloud_event(row_of(kind, is_full=is_full), schema=pin, show_origin=True)


def parsed(text: bytes) -> BaseCloudEvent:
    return JSONFormat().read(CloudEvent, text)


def as_sent(event: BaseCloudEvent) -> dict[str, Any]:
    """What the SDK holds, in the form in which it was on the wire."""
    attributes = dict(event.get_attributes())
    assert attributes["time"] == OCCURRED
    attributes["time"] = "2026-01-01T00:00:00.123456Z"
    return {**attributes, "data": event.get_data()}


@each_kind
@full_or_bare
def test_the_sdk_reads_what_we_wrote_whatever_is_pinned(kind: Kind, is_full: bool) -> None:
    for pin in (None, *schemas()):
        text = sent(kind, pin=pin, is_full=is_full)

        event = parsed(text)

        assert as_sent(event) == json.loads(text)
        assert event.get_specversion() == "1.0"
        assert event.get_type() == kind.type
        version = served_version(kind.type, kind.version, pin)
        assert event.get_extension("schemaversion") == version
        address = f"{settings.PUBLIC_URL}{document.path(kind.type, version)}"
        assert event.get_dataschema() == address
        assert event.get_datacontenttype() == "application/json"


@each_kind
@full_or_bare
def test_an_agents_event_is_about_it_and_a_tenants_fact_about_nobody(
    kind: Kind, is_full: bool
) -> None:
    event = parsed(sent(kind, is_full=is_full))

    about = ("/tenants/acme/agents/a-1", "a-1") if is_of_agent(kind) else ("/tenants/acme", None)
    assert (event.get_source(), event.get_subject()) == about


@each_kind
@full_or_bare
def test_extensions_are_texts_with_names_of_small_letters_and_digits(
    kind: Kind, is_full: bool
) -> None:
    body = json.loads(sent(kind, is_full=is_full))

    extensions = {name: body[name] for name in body.keys() - STANDARD - {"data"}}

    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in extensions)
    assert all(isinstance(value, str) and value for value in extensions.values())
    optional = {name.replace("_", "") for name in OPTIONAL}
    assert optional & extensions.keys() == (optional if is_full else set())
    assert extensions["seq"] == "9007199254740993"


@each_kind
@full_or_bare
def test_it_comes_through_http_in_both_content_modes(kind: Kind, is_full: bool) -> None:
    event, form = parsed(sent(kind, is_full=is_full)), JSONFormat()

    binary = http.to_binary(event, form)
    structured = http.to_structured(event, form)

    assert structured.headers == {"content-type": "application/cloudevents+json"}
    for message in (binary, structured):
        again = http.from_http(message, form)
        assert as_sent(again) == as_sent(event)
    assert all(value.isascii() and value.isprintable() for value in binary.headers.values())


def test_our_bytes_are_a_message_in_structured_mode_as_they_are() -> None:
    text = sent(KINDS[0])
    headers = {"content-type": "application/cloudevents+json"}

    event = http.from_http(HTTPMessage(headers, text), JSONFormat())

    assert as_sent(event) == json.loads(text)


def test_what_the_sdk_would_refuse_is_refused() -> None:
    body = json.loads(sent(KINDS[0]))

    for wrong in ({"stream_version": "1"}, {"id": None}, {"specversion": "2.0"}):
        with pytest.raises(CloudEventValidationError):
            CloudEvent({**body, "time": datetime(2026, 1, 1, tzinfo=UTC), **wrong})
