"""What is counted and logged of a request: its route, ids, who asked, and nothing secret."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agentmesh_site.log_lines import Json
from events.metrics import instruments
from tests.api.conftest import HEARTBEAT, People

AGENTS = "/api/v1/tenants/{tenant}/agents/{agent_id}"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The access log as it would be written, from the newest to the oldest."""
    caplog.set_level(logging.INFO, logger="agentmesh_site.access")
    caplog.handler.setFormatter(Json())  # at once: the ids are those of the moment
    written: list[str] = []
    emit = caplog.handler.emit

    def keep(record: logging.LogRecord) -> None:
        if record.name == "agentmesh_site.access":
            written.append(Json().format(record))
        emit(record)

    caplog.handler.emit = keep  # type: ignore[method-assign]
    return lambda: [json.loads(line) for line in reversed(written)]


def requests(route: str, method: str, status: int) -> float:
    value: float = instruments.requests.labels(route, method, status)._value.get()
    return value


def test_an_answered_request_is_one_line_with_its_ids(
    people: People, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    agent = people.bob.create()

    response = people.bob.get(f"/agents/{agent}?version=1", X_Correlation_Id="order-66")

    line, *_ = lines()
    assert line["request_id"] == response["X-Request-Id"]
    assert line["correlation_id"] == response["X-Correlation-Id"] == "order-66"
    assert (line["method"], line["route"], line["status"]) == ("GET", AGENTS, 200)
    assert (line["actor"], line["tenant"]) == ("token:bob", people.bob.tenant)
    assert line["duration_ms"] > 0
    assert "version=1" not in json.dumps(line)


def test_the_id_that_is_made_is_the_one_that_is_recorded(people: People) -> None:
    response = people.bob.post(
        "/agents", {"name": "x", "capabilities": [{"name": "a", "proficiency_level": 1}]}
    )
    made = response["X-Correlation-Id"]

    found = people.bob.made(people.bob.get(f"/events?correlation={made}"))

    assert len(found["items"]) == 1
    assert response["X-Request-Id"] != made


def test_a_request_id_of_the_clients_is_not_ours(people: People) -> None:
    response = people.bob.get("/agents", X_Request_Id="forged")

    assert response["X-Request-Id"] != "forged"


def test_nothing_of_a_token_a_body_or_a_query_is_logged(
    people: People, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    agent = people.bob.available()
    secret = "hunter2-payload"
    people.bob.post(f"/agents/{agent}/tasks", {"task_id": "t-1", "input": secret})
    people.bob.get(f"/agents?q={secret}&token={people.bob.token}")
    people.bob.get(f"/agents/{people.bob.token}")
    Client().post("/admin/login/", {"username": "alice", "password": secret})

    text = json.dumps(lines())

    assert len(lines()) >= 4
    assert secret not in text
    assert people.bob.token not in text


def test_a_header_or_a_path_cannot_forge_a_line(
    people: People, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    people.bob.get("/agents/x%0A%7B%22level%22:%22critical%22%7D", X_Correlation_Id="a\r\nb: c")

    line, *_ = lines()
    assert line["path"].endswith('/agents/x\n{"level":"critical"}')  # in one quoted value
    assert "\n" not in line["correlation_id"]


def test_health_and_metrics_are_counted_and_not_logged(
    committed_db: None, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    before = requests("/health/live", "GET", 200)
    for path in ("/health/live", "/metrics"):
        Client().get(path)

    assert lines() == []
    assert requests("/health/live", "GET", 200) == before + 1


def test_refusals_are_counted_by_route_and_status(people: People) -> None:
    agent = people.bob.create()
    before = requests(AGENTS, "GET", 404), requests(AGENTS + "/pause", "POST", 409)
    conflicts = instruments.conflicts.labels("version_mismatch")
    mismatches = conflicts._value.get()

    Client().get(f"/api/v1/tenants/{people.bob.tenant}/agents/{agent}")  # 401
    people.mallory.get(f"/api/v1/tenants/{people.bob.tenant}/agents/{agent}")
    people.bob.post(f"/agents/{agent}/pause", {"reason": "x"})
    people.bob.post(f"/agents/{agent}/activate", If_Match='"7"')

    after = requests(AGENTS, "GET", 404), requests(AGENTS + "/pause", "POST", 409)
    assert after == (before[0] + 1, before[1] + 1)
    assert conflicts._value.get() == mismatches + 1


def test_a_replayed_answer_is_counted(people: People) -> None:
    agent = people.bob.available()
    before = instruments.replays._value.get()
    for _ in range(3):
        people.bob.made(
            people.bob.post(f"/agents/{agent}/heartbeat", HEARTBEAT, Idempotency_Key="k-1")
        )

    assert instruments.replays._value.get() == before + 2
