"""Two tenants and their people: Alice owns acme, Bob operates in it, Carol audits it, Mallory
belongs to globex. Every test gets its own, since nothing in the log is ever taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import services
from agents.current import load
from agents.domain.state import Agent
from events import tenants
from events.log.proposal import Context
from events.models import Event
from events.vocabulary import Capability

SETUP = Context(actor="system:setup")
PASSWORD = "a fine long password"


@dataclass(frozen=True)
class Person:
    """Somebody with a browser, signed in."""

    username: str
    client: Client

    def get(self, path: str, **query: str | int) -> Any:
        return self.client.get(path, query)

    def post(self, path: str, **values: object) -> Any:
        return self.client.post(path, values)


@dataclass
class World:
    """Alice and Bob are there; Carol comes when she is called, and Mallory with globex: to let all
    in for every test took most of its time."""

    acme: str
    person: Callable[..., Person]
    slug: Callable[[str], str]

    @cached_property
    def globex(self) -> str:
        return tenants.create_tenant(self.slug("globex")).slug

    @cached_property
    def alice(self) -> Person:
        return self.person("alice", **{self.acme: "admin"})

    @cached_property
    def bob(self) -> Person:
        return self.person("bob", **{self.acme: "operator"})

    @cached_property
    def carol(self) -> Person:
        return self.person("carol", **{self.acme: "auditor"})

    @cached_property
    def mallory(self) -> Person:
        return self.person("mallory", **{self.globex: "admin"})

    def page(self, rest: str = "") -> str:
        return f"/admin/t/{self.acme}/{rest}"

    def create_agent(self, agent_id: str = "agent-1", **details: Any) -> Agent:
        defaults: dict[str, Any] = {
            "tenant": self.acme,
            "name": f"Name of {agent_id}",
            "capabilities": [Capability("translation", 2)],
            "by": SETUP,
        }
        return services.create_agent(agent_id=agent_id, **(defaults | details)).agent

    def active_agent(self, agent_id: str = "agent-1", **details: Any) -> Agent:
        self.create_agent(agent_id, **details)
        return services.activate_agent(**self.to(agent_id)).agent

    def busy_agent(self, agent_id: str = "agent-1", task_id: str = "t-7") -> Agent:
        self.active_agent(agent_id)
        return services.assign_task(**self.to(agent_id), task_id=task_id).agent

    def to(self, agent_id: str = "agent-1") -> dict[str, Any]:
        """The arguments that every command to this agent begins with."""
        return {"tenant": self.acme, "agent_id": agent_id, "by": SETUP}

    def agent(self, agent_id: str = "agent-1") -> Agent:
        return load(self.acme, agent_id).agent

    def newest_event(self) -> Event:
        return Event.objects.filter(tenant=self.acme).order_by("-seq")[0]

    def event_types(self) -> list[str]:
        events = Event.objects.filter(tenant=self.acme).order_by("seq")
        return list(events.values_list("type", flat=True))


@pytest.fixture
def person(committed_db: None, fresh_slug: Callable[[str], str]) -> Callable[..., Person]:
    """`person("dave", acme="operator")`: a new person, a member of these tenants, signed in."""

    def make(name: str, **roles: str) -> Person:
        user = User.objects.create_user(fresh_slug(name), password=PASSWORD)
        for tenant, role in roles.items():
            tenants.add_member(tenant, user.username, role, by=SETUP)
        client = Client()
        client.force_login(user)
        return Person(user.username, client)

    return make


@pytest.fixture
def world(person: Callable[..., Person], fresh_slug: Callable[[str], str]) -> World:
    made = World(tenants.create_tenant(fresh_slug("acme")).slug, person, fresh_slug)
    _ = made.alice, made.bob
    return made


def text_of(response: Any) -> str:
    """The HTML of an answer of the test client."""
    text: str = response.content.decode()
    return text
