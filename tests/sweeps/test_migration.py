"""Agents that were there before deadlines were kept get theirs from their stored states."""

from importlib import import_module
from types import SimpleNamespace

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from agents import services
from agents.models import CurrentAgent
from agents.rebuild import compare
from tests.sweeps.conftest import ALICE, At, activate, assign, fleet, pause, register

MIGRATION = ("agents", "0005_fill_deadlines")


def test_the_migration_gives_every_agent_the_deadlines_that_its_events_tell(
    acme: str, at: At
) -> None:
    ids = fleet(acme, 8, at(0.25))
    for agent_id in (*ids[:2], *ids[4:6]):
        assign(acme, agent_id, at(1))
    for agent_id in ids[4:]:
        services.record_health_failure(
            tenant=acme, agent_id=agent_id, reason="x", by=ALICE, now=at(2)
        )
    pause(acme, ids[1], at(3), until=at(5.5))
    pause(acme, ids[5], at(3), until=at(1_000))
    pause(acme, ids[2], at(3))
    pause(acme, ids[6], at(3), until=at(99))
    register(acme, "registered", at(0))
    activate(acme, "unseen", at(0))
    services.terminate_agent(tenant=acme, agent_id=ids[7], reason="x", by=ALICE, now=at(9))
    agents = CurrentAgent.objects.filter(tenant=acme)
    agents.update(due_at=None, silent_at=None)
    agents.filter(agent_id=ids[3]).update(state="{spoilt")

    apps = MigrationLoader(connection).project_state(MIGRATION).apps
    fill = import_module("agents.migrations.0005_fill_deadlines").fill
    fill(apps, SimpleNamespace(connection=connection))

    (spoilt,) = compare(acme)[1]
    assert spoilt.key == (ids[3],)
