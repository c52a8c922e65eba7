"""What cannot be sealed is refused, and what was erased does not come back."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from agents import command, current
from agents.domain.errors import PayloadTooLarge, RuleViolated
from events import tenant_settings
from events.confidential import erase as erasing
from events.confidential.seal import CannotSeal
from events.log.append import append
from events.models import PayloadKey
from tests.api.conftest import Caller
from tests.confidential.conftest import (
    BY,
    INPUT,
    KEK,
    OTHER_KEK,
    assign,
    complete,
    events_of,
    fail,
    keys,
    read,
    stored,
    why,
)
from tests.services.conftest import create


@pytest.mark.parametrize("forged", [{"$confidential": "erased"}, {"$confidential": {}, "a": 1}])
def test_nobody_forges_a_sealed_payload(mallory: Caller, forged: Any) -> None:
    agent = mallory.available()
    assigned = mallory.post(f"/agents/{agent}/tasks", {"task_id": "t-1", "input": forged})
    mallory.made(mallory.post(f"/agents/{agent}/tasks", {"task_id": "t-1"}))
    body = {"execution_time_ms": 1, "result": forged}
    completed = mallory.post(f"/agents/{agent}/tasks/t-1/complete", body)

    for response, field in ((assigned, "input"), (completed, "result")):
        assert response.status_code == 400
        (error,) = json.loads(response.content)["errors"]
        assert error["pointer"] == f"/{field}"
        assert "$confidential" in error["detail"]


def test_the_mark_deeper_inside_is_a_payload_like_any_other(acme: str, mallory: Caller) -> None:
    payload = {"a": {"$confidential": "erased"}}
    create(mallory.tenant)
    for tenant in (acme, mallory.tenant):
        assign(tenant, input=payload)
        assert read(tenant) == [payload]


def test_the_limit_counts_what_was_sent_and_not_what_is_stored(acme: str) -> None:
    most = "x" * (64 * 1024 - 2)
    assign(acme, input=most)
    assert len(events_of(acme)[0].data) > 64 * 1024

    with pytest.raises(PayloadTooLarge):
        complete(acme, result=most + "x")
    complete(acme, result=most)

    assert read(acme) == [most, most]


def test_without_a_key_a_payload_is_refused_and_never_stored_plain(
    acme: str, bob: Caller, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = ()
    before = current.load(acme, "a-1").version

    response = bob.post("/agents/a-1/tasks", {"task_id": "t-1", "input": INPUT})

    assert response.status_code == 503
    problem = json.loads(response.content)
    assert problem["code"] == "unavailable"
    assert "AGENTMESH_ENCRYPTION_KEYS" in problem["detail"]
    assert response["Retry-After"]
    assert current.load(acme, "a-1").version == before
    assign(acme, input=None)  # what needs no key goes on
    with pytest.raises(CannotSeal):
        complete(acme)
    complete(acme, result=None)


def test_a_page_says_so_too(acme: str, settings: Settings, admin_of_acme: Client) -> None:
    settings.ENCRYPTION_KEYS = ()
    path = f"/admin/t/{acme}/agents/a-1/assign/"

    response = admin_of_acme.post(path, {"task_id": "t-1", "input": '{"a": 1}'})

    assert response.status_code == 503
    assert "AGENTMESH_ENCRYPTION_KEYS" in response.content.decode()


def test_a_key_that_is_locked_or_damaged_seals_nothing(acme: str, settings: Settings) -> None:
    assign(acme)
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)
    with pytest.raises(CannotSeal, match="630dcd2966c43366"):
        complete(acme)
    settings.ENCRYPTION_KEYS = (KEK,)
    PayloadKey.objects.filter(tenant=acme).update(wrapped=b"x" * 40)
    with pytest.raises(CannotSeal, match="damaged"):
        complete(acme)

    complete(acme, result=None)


def test_a_result_that_comes_after_the_erasure_is_kept_as_erased(acme: str) -> None:
    assign(acme)
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    complete(acme)

    assert stored(acme)[1] == why("erased")
    assert read(acme) == [why("erased")] * 2
    assert [key.wrapped for key in keys(acme)] == [None]


def test_a_result_whose_erasure_overtakes_it_opens_for_nobody(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)

    def erase_first(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(command, "append", append)
        erasing.erase(acme, task_id="t-1", reason="x", by=BY)
        return append(*given, **more)

    monkeypatch.setattr(command, "append", erase_first)
    complete(acme)

    assert read(acme) == [why("erased")] * 2


@pytest.mark.parametrize("confidential", [True, False])
@pytest.mark.parametrize("agent_id", ["a-1", "a-2"])
def test_an_erased_task_is_given_no_new_input(acme: str, agent_id: str, confidential: bool) -> None:
    create(acme, "a-2")
    assign(acme)
    fail(acme)
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    tenant_settings.change_settings(acme, confidential_payloads=confidential, by=BY)

    with pytest.raises(RuleViolated, match="Use a new task_id") as refused:
        assign(acme, agent_id=agent_id)
    assert refused.value.rule == "task_erased"

    assign(acme, agent_id=agent_id, input=None)
    complete(acme, agent_id=agent_id)
    assert stored(acme)[1:] == [None, why("erased")]
