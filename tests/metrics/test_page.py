"""GET /metrics: who sees it, in which form, and what it says when the database says nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, override_settings
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from agentmesh_site import metrics
from events import tenants
from events.metrics import instruments

pytestmark = pytest.mark.usefixtures("committed_db", "nothing_remembered")
TOKEN = "watch-0123456789abcdef"
WITH_TOKEN = override_settings(METRICS_TOKEN=TOKEN)


@pytest.fixture
def nothing_remembered() -> Iterator[None]:
    metrics.database.forget()
    yield
    metrics.database.forget()


def get(peer: str = "127.0.0.1", **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client().get("/metrics", headers=given, REMOTE_ADDR=peer)


def families(response: HttpResponse) -> dict[str, Metric]:
    assert response.status_code == 200
    assert response["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    parse: Any = openmetrics  # untyped
    return {family.name: family for family in parse(response.content.decode())}


def value(found: dict[str, Metric], name: str, **labels: str) -> float | None:
    return next((s.value for s in found[name].samples if labels.items() <= s.labels.items()), None)


def test_a_scraper_gets_openmetrics_that_parses() -> None:
    instruments.appended(("AgentCreatedEvent", "AgentActivatedEvent"), 0.002)

    found = families(get())

    assert found["agentmesh_append_seconds"].type == "histogram"
    assert value(found, "agentmesh_events_appended", type="AgentActivatedEvent")
    assert value(found, "agentmesh_database_up") == 1
    assert value(found, "agentmesh_build_info", version="0.1.0") == 1
    assert value(found, "process_resident_memory_bytes", process="web")
    assert {s.labels["subscription"] for s in found["agentmesh_subscription_lag_events"].samples}


def test_prometheus_text_is_there_for_those_who_ask_for_it() -> None:
    response = get(Accept="text/plain;version=0.0.4")

    assert response["Content-Type"].startswith("text/plain")
    assert "agentmesh_build_info" in {each.name for each in prometheus(response.content.decode())}


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html", "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"]
)
def test_everybody_else_gets_openmetrics(accept: str) -> None:
    families(get(Accept=accept))


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
def test_without_a_token_this_machine_sees_it(peer: str) -> None:
    assert get(peer).status_code == 200


@pytest.mark.parametrize("peer", ["10.0.0.9", "203.0.113.7", "fd00::1", "", "unix"])
def test_without_a_token_others_see_what_is_not_there(peer: str) -> None:
    with override_settings(DEBUG=False):
        here, nowhere = get(peer), Client().get("/no-metrics", REMOTE_ADDR=peer)

    assert (here.status_code, here.content) == (nowhere.status_code, nowhere.content)
    assert here.status_code == 404


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_came_through_a_proxy_is_not_from_this_machine(header: str) -> None:
    response = Client().get("/metrics", headers={header: "127.0.0.1"})

    assert response.status_code == 404


@WITH_TOKEN
def test_with_a_token_whoever_has_it_sees_it_from_anywhere() -> None:
    families(get("203.0.113.7", Authorization=f"Bearer {TOKEN}"))
    families(get("203.0.113.7", Authorization=f"bearer {TOKEN}", X_Forwarded_For="10.0.0.1"))


@WITH_TOKEN
@pytest.mark.parametrize(
    "authorization",
    [None, "", TOKEN, "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9"],
)
def test_with_a_token_nobody_else_sees_it_not_even_this_machine(authorization: str | None) -> None:
    response = get(**({} if authorization is None else {"Authorization": authorization}))

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["code"] == "unauthenticated"
    assert b"agentmesh_" not in response.content


def test_metrics_are_asked_for_not_posted() -> None:
    client = Client(enforce_csrf_checks=True)

    assert client.head("/metrics").status_code == 200
    assert client.post("/metrics").json()["code"] == "method_not_allowed"
    assert client.post("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 404


def test_no_tenant_is_named(fresh_slug: Callable[[str], str]) -> None:
    slug = fresh_slug("secretive")
    tenants.create_tenant(slug)
    Client().get(f"/admin/t/{slug}/agents/")
    Client().get(f"/api/v1/tenants/{slug}/agents/{slug}")
    Client().get(f"/{slug}")

    text = get().content.decode()

    assert slug not in text
    assert 'route="/api/v1/tenants/{tenant}/agents/{agent_id}"' in text
    assert 'route="unmatched"' in text


def test_a_made_up_method_makes_no_series() -> None:
    Client().generic("BREW", "/health/live")

    text = get().content.decode()

    assert "BREW" not in text
    assert 'method="other"' in text


def test_without_the_database_what_was_counted_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> list[Metric]:
        raise OperationalError("connection to db.internal failed\nas alice with hunter2")

    monkeypatch.setattr(metrics, "database", metrics.Asked(fail))

    found = families(get())

    assert value(found, "agentmesh_database_up") == 0
    assert "agentmesh_append_seconds" in found
    assert "agentmesh_subscription_lag_events" not in found
    assert "hunter2" not in caplog.text


def test_a_fault_of_ours_in_a_figure_costs_that_figure_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "database", metrics.Asked(lambda: [1 / 0]))  # type: ignore[list-item]

    assert value(families(get()), "agentmesh_database_up") == 0
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_hangs_is_waited_for_once_and_not_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released, asked = threading.Event(), []

    def hang() -> list[Metric]:
        asked.append(1)
        released.wait(20)
        return []

    patient = metrics.Asked(hang, fresh_seconds=600, patience_seconds=0.05)
    monkeypatch.setattr(metrics, "database", patient)

    assert [value(families(get()), "agentmesh_database_up") for _ in range(3)] == [0, 0, 0]
    released.set()
    monkeypatch.setattr(patient, "_patience_seconds", 20.0)
    assert value(families(get()), "agentmesh_database_up") == 1
    assert len(asked) == 1


def test_many_scrapes_are_one_look_at_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ask() -> list[Metric]:
        asked.append(1)
        return []

    monkeypatch.setattr(metrics, "database", metrics.Asked(ask))

    for _ in range(3):
        families(get())

    assert len(asked) == 1
