"""Acme, whose payloads are confidential, with Alice, Bob and Carol; beside it Mallory of Globex."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from agents import services
from events import tenant_settings, tenants
from events.confidential import reveal
from events.log.proposal import Context
from events.models import Event, PayloadKey
from tests.api.conftest import Caller, People, alice, bob, carol, mallory, people
from tests.services.conftest import create

__all__ = [
    "alice",
    "bob",
    "carol",
    "mallory",
    "people",
]

BY = Context(actor="user:alice")
KEK, OTHER_KEK = bytes(range(32)), bytes(range(100, 132))
INPUT = {"patient": "Ada Lovelace", "born": 1815}
RESULT = ["a diagnosis", 1.0, None]


@pytest.fixture(autouse=True)
def _one_key(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = (KEK,)


@pytest.fixture
def acme(people: People, settings: Settings) -> str:
    """The slug of Alice's tenant, confidential from here on, with the available agent a-1."""
    tenant = people.alice.tenant
    tenant_settings.change_settings(tenant, confidential_payloads=True, by=BY)
    create(tenant)
    return tenant


def assign(tenant: str, task_id: str = "t-1", agent_id: str = "a-1", input: Any = INPUT) -> None:
    services.assign_task(tenant=tenant, agent_id=agent_id, task_id=task_id, input=input, by=BY)


def complete(
    tenant: str, task_id: str = "t-1", agent_id: str = "a-1", result: Any = RESULT
) -> None:
    services.complete_task(
        tenant=tenant,
        agent_id=agent_id,
        task_id=task_id,
        execution_time_ms=1,
        result=result,
        by=BY,
    )


def fail(tenant: str, task_id: str = "t-1", agent_id: str = "a-1") -> None:
    services.fail_task(tenant=tenant, agent_id=agent_id, task_id=task_id, error_message="no", by=BY)


def events_of(tenant: str, *types: str) -> list[Event]:
    """The events with a payload, in order; or those of these types."""
    wanted = types or ("AgentTaskAssignedEvent", "AgentTaskCompletedEvent")
    return list(Event.objects.filter(tenant=tenant, type__in=wanted).order_by("seq"))


def stored(tenant: str) -> list[Any]:
    """The payloads as the log holds them, in order."""
    return [payload_in(json.loads(row.data)) for row in events_of(tenant)]


def read(tenant: str, *, plain: bool = True) -> list[Any]:
    """The payloads as a reader sees them, in order."""
    rows = events_of(tenant)
    shown = reveal.of_rows(rows, plain=plain)
    return [payload_in(json.loads(shown.get(row.seq, row.data))) for row in rows]


def payload_in(data: dict[str, Any]) -> Any:
    return data["input"] if "input" in data else data["result"]


def why(reason: str) -> dict[str, str]:
    return {"$confidential": reason}


def keys(tenant: str) -> list[PayloadKey]:
    return list(PayloadKey.objects.filter(tenant=tenant).order_by("seq"))


def erase(caller: Caller, path: str, reason: str = "asked for", **headers: str) -> Any:
    return caller.made(caller.post(f"{path}/erase", {"reason": reason}, **headers))


@contextmanager
def counting() -> Iterator[list[str]]:
    """The statements about keys that pass Django's cursors meanwhile."""
    seen: list[str] = []

    def see(execute: Any, sql: str, *others: Any) -> Any:
        if "events_payloadkey" in sql:
            seen.append(sql)
        return execute(sql, *others)

    with connection.execute_wrapper(see):
        yield seen


@pytest.fixture
def admin_of_acme(acme: str) -> Client:
    """A browser whose person is admin of acme."""
    return browser(acme, "admin")


def browser(tenant: str, role: str) -> Client:
    user = User.objects.create_user(f"{role}-{uuid.uuid4().hex[:8]}")
    tenants.add_member(tenant, user.username, role, by=BY)
    client = Client()
    client.force_login(user)
    return client
