"""What was erased where a log comes from is said to be erased where it is imported."""

import uuid
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from agents.models import CurrentAgent
from events.confidential import form, reveal
from events.confidential.form import Place
from events.models import Event, PayloadKey
from events.tenant_facts import PayloadErased
from events.transfer.importing import import_log
from events.vocabulary import (
    AgentCreatedEvent,
    AgentTaskAssignedEvent,
    AgentTaskFailedEvent,
    Capability,
)
from tests.transfer.draft import NOON, draft

pytestmark = pytest.mark.usefixtures("committed_db")
AT: dict[str, Any] = {"occurred_at": NOON}


@pytest.fixture
def slug(fresh_slug: Callable[[str], str]) -> str:
    return fresh_slug("acme")


def sealed(slug: str, task_id: str, agent_id: str = "agent-1") -> dict[str, Any]:
    key_id = uuid.uuid4().hex
    place = Place(slug, agent_id, task_id, "input")
    return form.seal(b'"secret"', bytes(32), key_id, place)


def told(slug: str, erased: PayloadErased) -> list[Any]:
    """Two tasks of one agent with sealed inputs, then the erasure, then a third."""
    one = "agent-1"
    facts: list[Any] = [
        AgentCreatedEvent(one, tenant_id=slug, capabilities=(Capability("nlp", 3),), **AT)
    ]
    for task_id in ("t-1", "t-2"):
        facts += [
            AgentTaskAssignedEvent(one, task_id=task_id, input=sealed(slug, task_id), **AT),
            AgentTaskFailedEvent(one, task_id=task_id, error_message="no", **AT),
        ]
    facts.append(erased)
    facts.append(AgentTaskAssignedEvent(one, task_id="t-3", input=sealed(slug, "t-3"), **AT))
    return facts


def shown(slug: str) -> list[str]:
    """Why each of the three inputs is not shown."""
    rows = list(Event.objects.filter(tenant=slug, type="AgentTaskAssignedEvent").order_by("seq"))
    texts = reveal.of_rows(rows, plain=True)
    return [texts[row.seq].partition('"$confidential":"')[2].partition('"')[0] for row in rows]


@pytest.mark.parametrize(
    ("erased", "expected"),
    [
        (
            PayloadErased(agent_id=None, task_id="t-1", reason="asked for", **AT),
            ["erased", "missing", "missing"],
        ),
        (
            PayloadErased(agent_id="agent-1", task_id=None, reason="asked for", **AT),
            ["erased", "erased", "missing"],
        ),
        (
            PayloadErased(agent_id="agent-2", task_id=None, reason="asked for", **AT),
            ["missing", "missing", "missing"],
        ),
    ],
)
def test_an_imported_log_says_erased_of_what_an_erasure_in_it_covers(
    slug: str, erased: PayloadErased, expected: list[str]
) -> None:
    import_log(BytesIO(draft(slug, told(slug, erased)).file()))

    assert shown(slug) == expected
    keys = PayloadKey.objects.filter(tenant=slug)
    assert keys.count() == expected.count("erased")
    assert all(key.wrapped is None and key.destroyed_at == key_moment(slug) for key in keys)


def key_moment(slug: str) -> Any:
    return Event.objects.get(tenant=slug, type="PayloadErased").recorded_at


def test_a_file_that_names_a_key_in_use_here_takes_nothing_from_anybody(
    slug: str, fresh_slug: Callable[[str], str]
) -> None:
    first, second = slug, fresh_slug("globex")
    erased = PayloadErased(agent_id=None, task_id="t-1", reason="asked for", **AT)
    import_log(BytesIO(draft(first, told(first, erased)).file()))
    taken = PayloadKey.objects.get(tenant=first)
    facts = told(second, erased)
    facts[1].input[form.MARK]["key"] = taken.key_id
    import_log(BytesIO(draft(second, facts).file()))

    keys = PayloadKey.objects.across_tenants().filter(key_id=taken.key_id)
    assert [key.tenant_id for key in keys] == [first]
    assert CurrentAgent.objects.filter(tenant=second).count() == 1
