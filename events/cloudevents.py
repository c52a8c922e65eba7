"""An event on the wire: CloudEvents 1.0 as JSON, for every door that shows events.

`schema` is what a reader pinned: None is the newest version of each type, "1.0" each type's
highest version up to it, "stored" what the log holds. `origin` is the stored JSON text, since the
attributes of a CloudEvent are plain values; `dataschema` is absolute, as the specification demands.
"""

from functools import cache

import msgspec
from django.conf import settings

from events import registry
from events.models import Event
from events.moments import rfc3339
from events.schemas import document

STORED = "stored"
AGENT_STREAM = "agent"


class UnknownSchema(ValueError):
    """Nobody can be served in this schema version."""

    def __init__(self, schema: str) -> None:
        super().__init__(f"must be one of {', '.join(schemas())}, not {schema[:32]!r}.")


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes in their order; what is absent is left out. seq and streamversion: digits."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str
    datacontenttype: str
    dataschema: str
    schemaversion: str
    tenant: str
    seq: str
    streamversion: str
    recordedat: str
    actor: str
    origin: str | None = None
    reason: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    hash: str
    data: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def cloud_event(
    row: Event, *, schema: str | None, show_origin: bool, data: str | None = None
) -> bytes:
    """One stored event as a CloudEvent on one line. `schema` has passed `check_schema`.

    The stored text itself is the data wherever nothing has to be cast; `data` is what the reader
    sees in its stead where a payload is sealed (see `events.confidential.reveal`).
    """
    version = served_version(row.type, row.schema_version, schema)
    of_agent = row.stream_type == AGENT_STREAM
    source = f"/tenants/{row.tenant_id}"
    return _encode(
        CloudEvent(
            specversion="1.0",
            id=str(row.event_id),
            source=f"{source}/agents/{row.stream_id}" if of_agent else source,
            type=row.type,
            subject=row.stream_id if of_agent else None,
            time=rfc3339(row.occurred_at),
            datacontenttype="application/json",
            dataschema=dataschema(row.type, version),
            schemaversion=version,
            tenant=row.tenant_id,
            seq=str(row.seq),
            streamversion=str(row.version),
            recordedat=rfc3339(row.recorded_at),
            actor=row.actor,
            origin=row.origin if show_origin else None,
            reason=row.reason,
            correlationid=row.correlation_id,
            causationid=row.causation_id,
            traceparent=row.traceparent,
            hash=bytes(row.hash).hex(),
            data=msgspec.Raw(data_in(row, row.data if data is None else data, version)),
        )
    )


def dataschema(type: str, version: str) -> str:
    """The absolute address of a schema."""
    return f"{settings.PUBLIC_URL}{document.path(type, version)}"


def check_schema(schema: str | None) -> None:
    """Raises UnknownSchema unless `cloud_event` can serve it."""
    if schema is not None and schema not in schemas():
        raise UnknownSchema(schema)


@cache
def schemas() -> tuple[str, ...]:
    """What a reader may pin: every version that some type has, and the stored form."""
    return (*registry.all_versions(), STORED)


@cache
def served_version(type: str, stored: str, schema: str | None) -> str:
    """In which version an event that is stored in `stored` is shown to who pinned `schema`."""
    if schema == STORED:
        return stored
    try:
        registry.fact_type(type, stored)
        return registry.served(type, schema)
    except registry.UnknownFact:
        return stored  # written by a newer release, whose casters we do not have


def data_in(row: Event, data: str, version: str) -> bytes:
    """`data` of an event, which is in the version that the row is stored in, as JSON in `version`;
    the very text when that is the same."""
    if version == row.schema_version:
        return data.encode()
    return registry.recast(data, row.type, row.schema_version, version)
