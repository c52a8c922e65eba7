"""What the stream and the relay make of a real log is what the document says."""

import json
from collections.abc import Callable
from typing import Any

from agents import services
from events import registry, tenant_settings
from events.log import cursor
from events.log.cursor import BEGINNING, Position
from events.models import Role
from events.vocabulary import Usage
from projections.relay import messages as relay
from projections.stream import frames
from tests.asyncapi.described import faults
from tests.stream.client import messages
from tests.stream.people import BY, Fleet


def everything(tenant: str) -> Fleet:
    """A log with every domain event there is, and some of a tenant's own facts."""
    fleet = Fleet.of(tenant, "a-1", "a-2")
    fleet.token(Role.AUDITOR)
    tenant_settings.change_settings(tenant, confidential_payloads=False, by=BY)
    fleet.beat()
    at: Any = {"tenant": tenant, "agent_id": "a-1", "by": BY}
    services.update_agent(**at, tags=["eu"], metadata={"n": [1, 2.5, None]})
    services.add_capability(**at, name="law", proficiency_level=1)
    services.upgrade_capability(**at, name="law", proficiency_level=4)
    services.assign_task(**at, task_id="t-1", input={"file": "ü.py"})
    services.complete_task(
        **at, task_id="t-1", execution_time_ms=1.5, result=[1], usage=Usage(1, 2)
    )
    services.assign_task(**at, task_id="t-2")
    services.fail_task(**at, task_id="t-2", error_message="no")
    services.pause_agent(**at, reason="rest")
    services.resume_agent(**at)
    services.record_health_failure(**at, reason="down")
    services.terminate_agent(**at, reason="old")
    return fleet


def test_every_message_of_a_real_log_is_as_described(
    committed_db: None, fresh_slug: Callable[[str], str]
) -> None:
    tenant = everything(fresh_slug("acme")).tenant
    rows = cursor.page(tenant, BEGINNING, 1_000)

    seen = set()
    for row in rows:
        place = Position(row.seq, bytes(row.hash))
        for pin in (None, "1.0"):
            frame = frames.event_frame(row, place, schema=pin, show_origin=True)
            (read,) = messages(iter(frame.decode().split("\n")))
            name = f"stream.{row.type}-{read.json['schemaversion']}"
            assert faults(name, "payload", read.json) == []
            assert faults(name, "headers", {"id": read.id, "event": read.event}) == []
        seen.add(row.type)
    for message in relay.page(tenant, BEGINNING, 1_000):
        assert isinstance(message, relay.Message)
        name = f"relay.{message.subject.split('.')[2]}"
        assert faults(name, "payload", json.loads(message.body)) == []
        assert faults(name, "headers", dict(message.headers)) == []
    assert seen > {fact.wire_type() for fact in registry.DOMAIN_EVENTS}
