"""GET /schemas: what every event's dataschema points to, for everybody."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from jsonschema import Draft202012Validator

from events import registry, tenants
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.log.append import append
from events.log.proposal import Proposal
from events.models import Event
from events.schemas import document
from tests.api.conftest import HEARTBEAT, SOMEBODY, Caller, People, body_of
from tests.api.test_timeline import walk
from tests.schemas.payloads import formats

LIST = "/api/v1/schemas"
ONE = f"{LIST}/AgentTaskCompletedEvent/1.0"
KIND = "application/schema+json"


def get(path: str, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client().get(path, headers=given)


def test_the_list_has_every_type_with_its_versions() -> None:
    body = get(LIST).json()

    assert body["next"] is None
    assert [item["type"] for item in body["items"]] == sorted(registry.types())
    (completed,) = [each for each in body["items"] if each["type"] == "AgentTaskCompletedEvent"]
    assert completed["newest"] == "2.0"
    assert [each["version"] for each in completed["versions"]] == ["1.0", "2.0"]
    assert completed["versions"][0]["dataschema"] == f"{settings.PUBLIC_URL}{ONE}"


def test_every_schema_in_the_list_is_there_and_has_the_hash_that_the_list_says() -> None:
    for item in get(LIST).json()["items"]:
        for version in item["versions"]:
            response = get(urlsplit(version["dataschema"]).path)
            schema = response.json()

            assert response["Content-Type"] == KIND
            assert schema["$id"] == urlsplit(version["dataschema"]).path
            assert document.sha256(schema) == version["sha256"]
            Draft202012Validator.check_schema(schema)


def test_the_list_goes_in_pages_like_every_other() -> None:
    found: list[str] = []
    page = get(f"{LIST}?limit=10").json()
    for _ in range(10):
        found += [item["type"] for item in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 10
        page = get(f"{LIST}?limit=10&cursor={page['next']}").json()

    assert found == sorted(registry.types())
    for wrong in ("limit=0", "limit=x", "cursor=x", "cursor=", "page=2"):
        assert get(f"{LIST}?{wrong}").status_code == 400


@pytest.mark.parametrize("path", [LIST, ONE])
class TestBothRoutes:
    def test_ask_nobody_who_they_are(self, path: str) -> None:
        plain = get(path)
        for authorization in ("Bearer am_nonsense", "Bearer", "Basic YTpi"):
            response = get(path, Authorization=authorization)
            assert (response.status_code, response.content) == (200, plain.content)

    def test_are_kept_and_asked_for_again_for_nothing(self, path: str) -> None:
        response = get(path)
        assert response["Cache-Control"] == "public, max-age=300"
        assert response["Vary"] == "Accept"
        etag = response["ETag"]
        for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = get(path, If_None_Match=held)
            assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
        for held in ('"other"', "nonsense", ""):
            assert get(path, If_None_Match=held).status_code == 200

    def test_take_head_and_say_what_they_take(self, path: str) -> None:
        head = Client().head(path)
        assert (head.status_code, head.content, head["ETag"]) == (200, b"", get(path)["ETag"])
        options = Client().options(path)
        assert (options.status_code, options["Allow"]) == (204, "GET, HEAD, OPTIONS")

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_are_for_reading(self, path: str, method: str) -> None:
        response = Client(enforce_csrf_checks=True).generic(method, path)
        assert problem_of(response) == (405, "method_not_allowed")
        assert response["Allow"] == "GET, HEAD, OPTIONS"
        assert response["Cache-Control"] == "no-store"

    def test_refuse_as_all_routes_do(self, path: str) -> None:
        assert problem_of(get(path + "/")) == (404, "not_found")
        response = get(path + "?nope=1")
        assert problem_of(response) == (400, "invalid")
        assert response.json()["errors"][0]["parameter"] == "nope"
        assert problem_of(get(path, Accept="text/html")) == (406, "not_acceptable")
        assert problem_of(get(path, X_Correlation_Id="\x7f")) == (400, "invalid")
        assert get(path, X_Correlation_Id="c-1")["X-Correlation-Id"] == "c-1"


def problem_of(response: Any) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, body_of(response)["code"]


@pytest.mark.parametrize("accept", [KIND, "application/json", "application/*", "*/*"])
def test_a_schema_is_given_to_whoever_takes_json(accept: str) -> None:
    response = get(ONE, Accept=accept)

    assert (response.status_code, response["Content-Type"]) == (200, KIND)


@pytest.mark.parametrize(
    "path",
    [
        f"{LIST}/AgentTaskCompletedEvent/3.0",
        f"{LIST}/AgentTaskCompletedEvent/1",
        f"{LIST}/AgentTaskCompletedEvent",
        f"{LIST}/agenttaskcompletedevent/1.0",
        f"{LIST}/AgentDancedEvent/1.0",
        f"{LIST}/AgentTaskCompletedEvent/1.0/x",
        f"{LIST}/..%2f..%2flock/1.0",
        f"{LIST}/%00/%ff",
        f"{LIST}/Fact/1.0",
    ],
)
def test_what_is_not_there_is_not_found_whatever_else_is_wrong(path: str) -> None:
    for response in (get(path), get(f"{path}?nope=1"), get(path, Accept="text/html"),
                     Client().put(path)):  # fmt: skip
        assert problem_of(response) == (404, "not_found")


@pytest.fixture
def history(people: People, bob: Caller) -> Caller:
    """A log with many kinds of events, two of them of an older version."""
    agent = bob.busy("t-1")
    usage = {"input_tokens": 1, "output_tokens": 2}
    body = {"execution_time_ms": 1.5, "result": {"a": [1.0]}, "usage": usage}
    bob.made(bob.post(f"/agents/{agent}/tasks/t-1/complete", body))
    bob.made(bob.post(f"/agents/{agent}/tasks", {"task_id": "t-2", "input": None}))
    bob.made(bob.post(f"/agents/{agent}/tasks/t-2/fail", {"error_message": "x"}))
    bob.made(bob.post(f"/agents/{agent}/heartbeat", HEARTBEAT))
    bob.made(bob.post(f"/agents/{agent}/health-failures", {"reason": "x"}))
    bob.made(bob.post(f"/agents/{agent}/capabilities", {"name": "x", "proficiency_level": 1}))
    bob.made(bob.patch(f"/agents/{agent}/capabilities/x", {"proficiency_level": 2}))
    bob.made(bob.patch(f"/agents/{agent}", {"metadata": {"a": 1.0}, "tags": ["b"]}))
    bob.made(bob.post(f"/agents/{agent}/pause", {"reason": "x"}))
    bob.made(bob.post(f"/agents/{agent}/resume", {}))
    bob.made(bob.post(f"/agents/{agent}/terminate", {"reason": "x"}))
    tenants.issue_token(bob.tenant, "again", "operator", by=SOMEBODY)
    old = AgentTaskCompletedEventV1("old-1", task_id="t-9", result={"b": 1.0})
    append(bob.tenant, Proposal("agent", "old-1", 0, [old], SOMEBODY))
    return bob


@pytest.mark.parametrize("schema", ["", "schema=1.0", "schema=2.0", "schema=stored"])
def test_every_events_dataschema_is_there_and_its_data_is_valid_by_it(
    history: Caller, schema: str
) -> None:
    events = walk(history, schema)

    assert len({event["type"] for event in events}) >= 14
    for event in events:
        address = urlsplit(event["dataschema"])
        response = get(address.path)
        assert response.status_code == 200
        Draft202012Validator(response.json(), format_checker=formats).validate(event["data"])


def test_an_old_row_is_served_in_the_version_asked_for(history: Caller) -> None:
    def old_row(query: str) -> dict[str, Any]:
        (event,) = walk(history, f"agent=old-1&{query}")
        return event

    row = Event.objects.get(tenant=history.tenant, stream_id="old-1")
    newest, pinned, stored = old_row(""), old_row("schema=1.0"), old_row("schema=stored")

    assert row.schema_version == "1.0"
    assert (newest["schemaversion"], newest["data"]["usage"]) == ("2.0", None)
    assert pinned == stored
    assert stored["schemaversion"] == "1.0"
    assert stored["data"] == json.loads(row.data)
    assert {each["hash"] for each in (newest, pinned, stored)} == {bytes(row.hash).hex()}
    one = body_of(history.get(f"/events/{row.event_id}"))
    assert one == newest
    assert history.get("/events?schema=9.0").status_code == 400


def test_mallory_sees_the_same_schemas_and_no_more(people: People) -> None:
    for path in (LIST, ONE):
        mine, theirs = people.mallory.get(path), people.alice.get(path)
        assert mine.content == theirs.content == get(path).content
