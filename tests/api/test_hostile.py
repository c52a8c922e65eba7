"""Whatever a client sends, the answer is a named 4xx."""

import json
from typing import Any

import pytest
from django.http import HttpResponse

from tests.api import things
from tests.api.conftest import CREATION, HEARTBEAT, Caller, body_of
from tests.api.routes import WRITING, Route
from tests.api.things import LEDGER, park

DEEP = 20_000
BODIES: dict[str, bytes] = {
    "broken UTF-8": b'{"name": "\xff\xfe"}',
    "overlong UTF-8": b'{"name": "\xc0\x80"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL key": b'{"a\\u0000b": 1}',
    "raw NUL": b'{"name": "a\x00b"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "lone surrogate key": b'{"\\udfff": 1}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "beyond a float": b'{"name": 1e999}',
    "5,000 digits": b'{"name": ' + b"9" * 5_000 + b"}",
    "5,000 decimals": b'{"name": 0.' + b"1" * 5_000 + b"}",
    "beyond 64 bits": b'{"name": 9223372036854775808}',
    "20,000 deep": b'{"name": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "20,000 deep and open": b"[" * DEEP,
    "20,000 deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "65 deep": b'{"name": ' + b"[" * 64 + b"]" * 64 + b"}",
    "duplicate keys": b'{"name": "a", "name": "b"}',
    "duplicate keys inside": b'{"metadata": {"a": 1, "a": 1}}',
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "no JSON": b"{'name': 1}",
    "two values": b"{} {}",
    "blank": b"   ",
    "a comma too many": b'{"name": 1,}',
    "an unknown field": b'{"nope": 1}',
    "many unknown fields": json.dumps({f"f{i}": 1 for i in range(5_000)}).encode(),
}


def refused(response: HttpResponse, code: str = "invalid", status: int = 400) -> dict[str, Any]:
    problem: dict[str, Any] = body_of(response)
    assert (response.status_code, problem["code"]) == (status, code), response.content
    assert response["Content-Type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert {"title", "detail"} < problem.keys()
    return problem


# A member's is in test_members.
@pytest.mark.parametrize(
    "route", [each for each in WRITING if "{member}" not in each.path], ids=str
)
def test_no_body_breaks_a_route(alice: Caller, route: Route) -> None:
    agent = alice.busy("t-1")
    park(alice.tenant, agent)
    path = route.path.format(
        agent=agent,
        task="t-1",
        subscription=LEDGER,
        stream=agent,
        alert=things.alert(alice.tenant, agent),
        rule=things.rule(alice.tenant),
        view=things.view(alice.tenant),
    )
    for name, raw in BODIES.items():
        problem = refused(alice.request(route.method, path, raw))
        assert len(json.dumps(problem)) < 10_000, name


CREATE_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": 5}, "/name"),
    ({"name": None}, "/name"),
    ({"name": ""}, "/name"),
    ({"name": "x" * 257}, "/name"),
    ({"agent_id": "a"}, "/agent_id"),
    ({"agent_id": None}, "/agent_id"),
    ({"agent_id": "a/b/c"}, "/agent_id"),
    ({"capabilities": []}, "/capabilities"),
    ({"capabilities": {}}, "/capabilities"),
    ({"capabilities": [5]}, "/capabilities/0"),
    ({"capabilities": [{"name": "x"}]}, "/capabilities/0/proficiency_level"),
    (
        {"capabilities": [{"name": "x", "proficiency_level": "5"}]},
        "/capabilities/0/proficiency_level",
    ),
    (
        {"capabilities": [{"name": "x", "proficiency_level": True}]},
        "/capabilities/0/proficiency_level",
    ),
    (
        {"capabilities": [{"name": "x", "proficiency_level": 3.0}]},
        "/capabilities/0/proficiency_level",
    ),
    (
        {"capabilities": [{"name": "x", "proficiency_level": 6}]},
        "/capabilities/0/proficiency_level",
    ),
    ({"capabilities": [{"name": "x", "proficiency_level": 1, "a/b": 1}]}, "/capabilities/0/a~1b"),
    ({"tags": "eu"}, "/tags"),
    ({"tags": [1]}, "/tags/0"),
    ({"tags": ["a,b"]}, "/tags/0"),
    ({"tags": [[]] * 2_000}, "/tags"),
    ({"metadata": []}, "/metadata"),
    ({"health_check_timeout_seconds": 4}, "/health_check_timeout_seconds"),
    ({"health_check_timeout_seconds": "90"}, "/health_check_timeout_seconds"),
    ({"health_check_timeout_seconds": 90.0}, "/health_check_timeout_seconds"),
    ({"health_check_timeout_seconds": 2**62}, "/health_check_timeout_seconds"),
]


@pytest.mark.parametrize(("change", "pointer"), CREATE_WRONG, ids=str)
def test_a_wrong_field_is_pointed_at(alice: Caller, change: dict[str, Any], pointer: str) -> None:
    problem = refused(alice.post("/agents", {**CREATION, **change}))
    assert problem["errors"][0]["pointer"] == pointer
    assert body_of(alice.get("/agents"))["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"success_rate": "1"}, "/success_rate"),
        ({"success_rate": True}, "/success_rate"),
        ({"success_rate": 1.5}, "/success_rate"),
        ({"response_time_ms": -1}, "/response_time_ms"),
        ({"cpu_usage_percent": 101}, "/cpu_usage_percent"),
        ({"memory_usage_percent": None}, "/memory_usage_percent"),
    ],
    ids=str,
)
def test_a_number_is_a_number(alice: Caller, change: dict[str, Any], pointer: str) -> None:
    agent = alice.available()
    problem = refused(alice.post(f"/agents/{agent}/heartbeat", {**HEARTBEAT, **change}))
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "until",
    [
        *("tomorrow", "2999-01-01", "2999-01-01T00:00:00", "2020-01-01T00:00:00Z", 5, True),
        *(
            "2999-13-01T00:00:00Z",
            "9999-12-31T23:59:59-14:00",
            "\u0662\u0669\u0669\u0669-01-01T00:00:00Z",
        ),
        *("2999-01-01T00:00:60Z", "2999-01-01T00:00:00+99:99", "2999-W01-1T00:00:00Z"),
    ],
)
def test_until_is_a_moment_to_come(alice: Caller, until: object) -> None:
    agent = alice.available()
    problem = refused(alice.post(f"/agents/{agent}/pause", {"reason": "x", "until": until}))
    assert problem["errors"][0]["pointer"] == "/until"


@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 1, 3 * 1024 * 1024])
def test_a_body_has_a_mebibyte_at_most(alice: Caller, size: int) -> None:
    raw = b'{"name": "' + b"x" * (size - 12) + b'"}'
    response = alice.post("/agents", raw)
    if size > 1024 * 1024:
        refused(response, "too_large", 413)
    else:
        refused(response)


def test_a_payload_has_64_kibibytes_at_most(alice: Caller) -> None:
    created = alice.post("/agents", {**CREATION, "metadata": {"x": "y" * 70_000}})
    assert refused(created, "too_large", 413)["errors"][0]["pointer"] == "/metadata"
    agent = alice.available()
    fits = "x" * (64 * 1024 - 2)
    payloads: list[tuple[str, str, dict[str, Any]]] = [
        ("/tasks", "input", {"task_id": "t-1"}),
        ("/tasks/t-1/complete", "result", {"execution_time_ms": 1}),
    ]
    for path, field, body in payloads:
        over = alice.post(f"/agents/{agent}{path}", {**body, field: fits + "x"})
        problem = refused(over, "too_large", 413)
        assert problem["errors"][0]["pointer"] == f"/{field}"
        alice.made(alice.post(f"/agents/{agent}{path}", {**body, field: fits}))


@pytest.mark.parametrize(
    "value", [None, 0, -0.0, 1e300, "", "\U0001f600", [], {}, {"": {"~/": [None, True]}}, 2**63 - 1]
)
def test_a_payload_comes_back_as_it_went_in(alice: Caller, value: object) -> None:
    agent = alice.available()
    alice.made(alice.post(f"/agents/{agent}/tasks", {"task_id": "t-1", "input": value}))
    path = f"/agents/{agent}/tasks/t-1/complete"
    body = {"execution_time_ms": 1, "result": value}
    task = alice.made(alice.post(path, body))
    assert repr((task["input"], task["result"])) == repr((value, value))


@pytest.mark.parametrize(
    "query",
    [
        *("q=%00", "q=%ff", "q=%ed%a0%80", "%ff=1", "q", "q=", "limit=0", "limit=1001", "limit=x"),
        *("limit=1&limit=1", "limit=%D9%A1", "limit=+1", "limit=1.0", "cursor=x", "cursor=W10"),
        *("cursor=WyJhXHUwMDAwIl0", "cursor=WyJcdWQ4MDAiXQ", "cursor=%C3%A9", "status=NOPE"),
        *("status=available", "status=", "status=AVAILABLE,", "capability=a*b", "tag=,", "tag=*x"),
        *("min_seq=99999999", "min_seq=-1", "min_seq=99999999999999999999", "seq=x"),
        *("&".join(f"a{i}=1" for i in range(200)), "q=" + "x" * 2_000),
    ],
)
def test_no_query_breaks_the_list(alice: Caller, query: str) -> None:
    refused(alice.get(f"/agents?{query}"))


@pytest.mark.parametrize(
    "query",
    [
        *("after=x", "after=-1", "after=1.5", "after=" + "9" * 5_000, "order=up", "schema=9.9"),
        *("schema=%00", "types=%00", "types=a**", "types=", "types=,", "since=now", "until=5"),
        *("since=2020-01-01T00:00:00+00:00", "agent=%00", "correlation=%ff", "min_seq=9999999"),
    ],
)
def test_no_query_breaks_the_events(alice: Caller, query: str) -> None:
    refused(alice.get(f"/events?{query}"))


@pytest.mark.parametrize(
    "path",
    [
        *("/agents/%00", "/agents/a%00b", "/agents/%ff%fe", "/agents/%ed%a0%80", "/agents/ab"),
        *("/agents/%2e%2e", "/agents/" + "a" * 300, "/agents/a%2fb", "/agents/caf%C3%A9"),
        *("/agents/a%0ab", "/agents//events", "/events/x", "/events/%00", "/tasks/%00"),
        *("/events/0000000000007000800000000000000000", "/members/%00", "/members/%ff"),
        *("/tokens/x", "/tokens/%00", "/agents/abc/capabilities/%00", "//agents"),
        *("/subscriptions/x/parked/%00/retry", "/subscriptions/%00/parked/x/skip"),
        *("/alerts/x", "/alerts/%00", "/alerts/x/acknowledge", "/alerts/%ff/resolve"),
        *("/alert-rules/%00", "/alert-rules/%ff", "/alert-rules/a%20b", "/alert-rules/caf%C3%A9"),
        *("/subscriptions/%ff/parked/x/skip", "/subscriptions/x/parked/%ed%a0%80/retry"),
    ],
)
def test_no_path_breaks_anything(alice: Caller, path: str) -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        refused(alice.request(method, path, b"{}"), "not_found", 404)


@pytest.mark.parametrize("slug", ["%00", "%ff", "ACME", "a" * 64, "-a", "caf%C3%A9"])
def test_no_tenants_name_breaks_anything(alice: Caller, slug: str) -> None:
    refused(alice.get(f"/api/v1/tenants/{slug}/agents"), "not_found", 404)


@pytest.mark.parametrize("header", ["X-Correlation-Id", "X-Causation-Id", "Idempotency-Key"])
@pytest.mark.parametrize("value", ["", "x" * 256, "caf\xe9", "a\x01b", "a\x00b"])
def test_no_header_breaks_anything(alice: Caller, header: str, value: str) -> None:
    problem = refused(alice.post("/agents", CREATION, **{header: value}))
    assert problem["errors"][0]["header"] == header


def test_a_trace_that_is_none_begins_anew(alice: Caller) -> None:
    for trace in ("x", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "\x00", "ff-" + "1" * 52):
        assert alice.post("/agents", CREATION, traceparent=trace).status_code == 201


def test_an_absent_body_is_an_empty_object(alice: Caller) -> None:
    agent = alice.create()
    assert alice.post(f"/agents/{agent}/activate").status_code == 200
    problem = refused(alice.post("/agents"))
    assert [each["pointer"] for each in problem["errors"]] == ["/name", "/capabilities"]
