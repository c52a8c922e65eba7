"""An event as a message."""

import json

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from agents import services
from events.cloudevents import cloud_event
from events.log.cursor import BEGINNING, Position
from events.models import Event, Role
from events.tenant_settings import change_settings
from projections.relay import messages
from projections.relay.messages import Message, Unfit
from tests.stream.people import BY, Fleet


def relayed(fleet: Fleet) -> list[Message]:
    page = messages.page(fleet.tenant, BEGINNING, 100)
    return [each for each in page if isinstance(each, Message)]


def test_an_agents_event_has_its_type_and_agent_in_the_subject(acme: Fleet) -> None:
    created = relayed(acme)[0]

    assert created.subject == f"agentmesh.{acme.tenant}.AgentCreatedEvent.a-1"


def test_a_tenants_own_fact_has_no_agent_in_the_subject(acme: Fleet) -> None:
    assert relayed(acme)[-1].subject == f"agentmesh.{acme.tenant}.TokenIssued._"


def test_the_headers_name_the_event_its_place_and_its_hash(acme: Fleet) -> None:
    first = relayed(acme)[0]
    row = Event.objects.get(tenant=acme.tenant, seq=1)

    assert first.headers == {
        "Nats-Msg-Id": str(row.event_id),
        "AgentMesh-Seq": "1",
        "AgentMesh-Hash": bytes(row.hash).hex(),
    }
    assert messages.position_in(first.headers) == Position(1, bytes(row.hash))


def test_the_body_is_the_event_as_rest_serves_it_without_its_origin(acme: Fleet) -> None:
    token = acme.token(Role.AUDITOR)
    bodies = [json.loads(message.body) for message in relayed(acme)]

    answer = Client().get(
        f"/api/v1/tenants/{acme.tenant}/events", headers={"Authorization": f"Bearer {token}"}
    )

    shown = answer.json()["items"]
    assert [event for event in shown if event.pop("origin", None)]
    assert bodies == shown


def test_a_confidential_payload_is_sealed_whoever_reads_the_stream(
    acme: Fleet, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = (bytes(range(32)),)
    change_settings(acme.tenant, confidential_payloads=True, by=BY)
    services.assign_task(
        tenant=acme.tenant, agent_id="a-1", task_id="t-1", input={"patient": "Ada"}, by=BY
    )

    (assigned,) = [each for each in relayed(acme) if "TaskAssigned" in each.subject]

    assert json.loads(assigned.body)["data"]["input"] == {"$confidential": "sealed"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"AgentMesh-Seq": "1"},
        {"AgentMesh-Seq": "one", "AgentMesh-Hash": "00"},
        {"AgentMesh-Seq": "1", "AgentMesh-Hash": "zz"},
        {"AgentMesh-Seq": "0", "AgentMesh-Hash": "00"},
    ],
)
def test_a_message_of_somebody_else_is_known_as_such(headers: dict[str, str]) -> None:
    assert messages.position_in(headers) is None


def test_an_event_that_no_message_can_be_made_of_is_named_and_hides_no_other(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = cloud_event

    def fail(row: Event, **options: object) -> bytes:
        if row.seq == 2:
            raise ValueError("no such thing")
        return make(row, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(messages, "cloud_event", fail)

    page = messages.page(acme.tenant, BEGINNING, 100)

    assert page[1] == Unfit(2, "ValueError: no such thing")
    assert [each.position.seq for each in page if isinstance(each, Message)] == [1, 3, 4]
