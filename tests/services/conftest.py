"""Acme with an agent at work, and Globex beside it."""

from collections.abc import Callable

import pytest

from agents import services
from events import tenants
from events.log.proposal import Context
from events.vocabulary import Capability

ALICE = Context(actor="user:alice")


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


def create(tenant: str, agent_id: str = "a-1", *, active: bool = True) -> None:
    services.create_agent(
        tenant=tenant,
        agent_id=agent_id,
        name="Translator",
        capabilities=[Capability("translate", 2)],
        by=ALICE,
    )
    if active:
        services.activate_agent(tenant=tenant, agent_id=agent_id, by=ALICE)


@pytest.fixture
def a1(acme: str) -> str:
    """The id of an available agent of acme."""
    create(acme)
    return "a-1"
