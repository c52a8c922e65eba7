"""Alice owns acme, Bob operates in it, Carol audits it, Mallory owns globex."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from events import tenants
from events.log.proposal import Context
from events.models import Role
from tests.api import documented

SOMEBODY = Context(actor="system:tests")
HEARTBEAT = {
    "success_rate": 0.99,
    "response_time_ms": 12,
    "cpu_usage_percent": 30.5,
    "memory_usage_percent": 40,
}
CREATION = {
    "name": "Summariser",
    "capabilities": [{"name": "nlp", "proficiency_level": 3}],
}


@dataclass
class Caller:
    """Somebody with a token, who speaks JSON under one tenant's path."""

    tenant: str
    token: str
    client: Client = field(default_factory=lambda: Client(raise_request_exception=True))

    def request(self, method: str, path: str, body: object = None, **headers: str) -> HttpResponse:
        """`path` below the tenant's, or from the root when it begins with /api. body: bytes as
        they are, anything else as JSON; headers with _ for -."""
        full = path if path.startswith("/api") else f"/api/v1/tenants/{self.tenant}{path}"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("Authorization", f"Bearer {self.token}")
        kind = given.pop("Content-Type", "application/json")
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body)
        response = self.client.generic(method, full, raw, content_type=kind, headers=given)
        return cast("HttpResponse", response)

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> HttpResponse:
        return self.request("POST", path, body, **headers)

    def patch(self, path: str, body: object = None, **headers: str) -> HttpResponse:
        return self.request("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> HttpResponse:
        return self.request("DELETE", path, **headers)

    def made(self, response: HttpResponse) -> Any:
        """The JSON of an answer that has to be good."""
        assert response.status_code < 300, response.content
        return json.loads(response.content)

    def create(self, agent_id: str | None = None, **fields: Any) -> str:
        chosen = agent_id or f"a-{uuid.uuid4().hex[:12]}"
        self.made(self.post("/agents", {**CREATION, "agent_id": chosen, **fields}))
        return chosen

    def available(self, agent_id: str | None = None, **fields: Any) -> str:
        """A new agent that takes tasks."""
        made = self.create(agent_id, **fields)
        self.made(self.post(f"/agents/{made}/activate"))
        return made

    def busy(self, task_id: str, **fields: Any) -> str:
        """A new agent that works on this task."""
        made = self.available(**fields)
        self.made(self.post(f"/agents/{made}/tasks", {"task_id": task_id}))
        return made


@dataclass
class People:
    """Each gets a token when called: to issue all for every test would take most of its time."""

    acme: str
    globex: str

    @cached_property
    def alice(self) -> Caller:
        return _caller(self.acme, "alice", Role.ADMIN)

    @cached_property
    def bob(self) -> Caller:
        return _caller(self.acme, "bob", Role.OPERATOR)

    @cached_property
    def carol(self) -> Caller:
        return _caller(self.acme, "carol", Role.AUDITOR)

    @cached_property
    def mallory(self) -> Caller:
        return _caller(self.globex, "mallory", Role.ADMIN)

    def agent(self, agent_id: str) -> Caller:
        """The agent of this id in acme, with its own token."""
        _, secret = tenants.issue_token(
            self.acme, agent_id, Role.AGENT, agent_id=agent_id, by=SOMEBODY
        )
        return Caller(self.acme, secret)


@pytest.fixture(autouse=True)
def documented_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked below /api/ is answered as the document says."""
    request = Client.request

    def checked(client: Client, **environ: Any) -> Any:
        response = request(client, **environ)
        if environ["PATH_INFO"].startswith("/api/"):
            documented.check(environ["REQUEST_METHOD"], environ["PATH_INFO"], response)
        return response

    monkeypatch.setattr(Client, "request", checked)


@pytest.fixture
def people(committed_db: None, fresh_slug: Callable[[str], str]) -> People:
    return people_of(fresh_slug("acme"), fresh_slug("globex"))


def people_of(acme: str, globex: str) -> People:
    for slug in (acme, globex):
        tenants.create_tenant(slug)

    cache.clear()
    return People(acme, globex)


def _caller(tenant: str, name: str, role: Role) -> Caller:
    return Caller(tenant, tenants.issue_token(tenant, name, role, by=SOMEBODY)[1])


@pytest.fixture
def alice(people: People) -> Caller:
    return people.alice


@pytest.fixture
def bob(people: People) -> Caller:
    return people.bob


@pytest.fixture
def carol(people: People) -> Caller:
    return people.carol


@pytest.fixture
def mallory(people: People) -> Caller:
    return people.mallory


def body_of(response: HttpResponse) -> Any:
    return json.loads(response.content)
