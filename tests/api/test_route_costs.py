"""What each route reads, in statements: a new route is measured before it is merged, and nobody
adds a question to an old one without noticing."""

import re
import uuid
from dataclasses import replace

from django.urls import resolve

from tests.api.conftest import Caller, People
from tests.api.routes import ROUTES, Route
from tests.api.test_cost import one_connection, statements, tables
from tests.api.test_openapi import doors
from tests.api.things import ABSENT, Things, things_of

__all__ = ["one_connection"]

API = "/api/v1"
OTHERS = [
    Route("HEAD", "/stream", ()),  # as GET does, but for what needs an event loop
    *(
        Route("GET", f"{API}/{path}", ())
        for path in ("me", "keys", "schemas", "schemas/AgentPausedEvent/1.0", "openapi.json")
    ),
]
ALL = [*ROUTES, *OTHERS]
# The status, then the tables of what is read before anything is written, each without its room.
COSTS = {
    "GET /agents": "200 token tenanthead currentagent",
    "POST /agents": "201 token",
    "GET /agents/{agent}": "200 token tenanthead currentagent",
    "PATCH /agents/{agent}": "200 token currentagent",
    "GET /agents/{agent}/diff": (
        "200 token tenanthead currentagent several currentagent event several event"
    ),
    "GET /agents/{agent}/events": "200 token event tenanthead event",
    "POST /agents/{agent}/activate": "200 token currentagent",
    "POST /agents/{agent}/pause": "200 token currentagent",
    "POST /agents/{agent}/resume": "200 token currentagent",
    "POST /agents/{agent}/terminate": "200 token currentagent",
    "POST /agents/{agent}/heartbeat": "200 token currentagent",
    "POST /agents/{agent}/health-failures": "200 token currentagent",
    "POST /agents/{agent}/capabilities": "200 token currentagent",
    "PATCH /agents/{agent}/capabilities/nlp": "200 token currentagent",
    "GET /agents/{agent}/tasks": "200 token event tenanthead subscriptioncheckpoint taskrow",
    "POST /agents/{agent}/tasks": "201 token currentagent taskclaim taskclaim",
    "POST /agents/{agent}/tasks/{task}/complete": "200 token currentagent taskclaim",
    "POST /agents/{agent}/tasks/{task}/fail": "200 token currentagent taskclaim taskclaim",
    "GET /tasks": "200 token tenanthead subscriptioncheckpoint taskrow",
    "GET /tasks/{task}": "200 token tenanthead taskclaim",
    "POST /tasks/{task}/erase": "409 token taskclaim payloadkey payloadkey",
    "POST /agents/{agent}/erase": "409 token event payloadkey payloadkey",
    "GET /events": "200 token tenanthead event",
    "GET /events/{event}": "200 token tenanthead event",
    "GET /export": (
        "200 token tenanthead tenant tenanthead tenant tenanthead tenant tenanthead tenant "
        "signedcheckpoint event"
    ),
    "GET /checkpoints": "200 token tenanthead signedcheckpoint",
    "GET /subscriptions": (
        "200 token tenanthead tenanthead heldstream subscriptioncheckpoint event"
    ),
    "POST /subscriptions/{subscription}/parked/{stream}/retry": (
        "200 token heldstream tenanthead tenanthead heldstream subscriptioncheckpoint event"
    ),
    "POST /subscriptions/{subscription}/parked/{stream}/skip": "404 token heldstream",
    "GET /analytics/tasks": (
        "200 token tenanthead subscriptioncheckpoint subscriptioncheckpoint taskstatisticsrow "
        "taskstatisticsrow taskstatisticsrow"
    ),
    "GET /alerts": "200 token tenanthead subscriptioncheckpoint alert",
    "GET /alerts/{alert}": "200 token tenanthead subscriptioncheckpoint alert",
    "POST /alerts/{alert}/acknowledge": "200 token alert event alert",
    "POST /alerts/{alert}/resolve": "200 token alert tenanthead alertrule event alert",
    "GET /alert-rules": "200 token tenanthead alertrule",
    "POST /alert-rules": "201 token event alertrule alertrule",
    "POST /alert-webhooks/rotate-secret": "200 token event webhooksecret",
    "GET /alert-rules/{rule}": "200 token tenanthead alertrule",
    "PATCH /alert-rules/{rule}": "200 token alertrule event webhooksecret alertrule",
    "DELETE /alert-rules/{rule}": "204 token alertrule event alertrule",
    "GET /members": "200 token tenanthead membership",
    "POST /members": "400 token user",
    "GET /members/{member}": "200 token tenanthead membership",
    "PATCH /members/{member}": "200 token membership membership event",
    "DELETE /members/{member}": "204 token membership membership event",
    "GET /tokens": "200 token tenanthead token",
    "POST /tokens": "201 token event",
    "GET /tokens/{token}": "200 token tenanthead token",
    "DELETE /tokens/{token}": "204 token token token event",
    "HEAD /stream": "200 token tenanthead",
    "GET /api/v1/me": "200 token",
    "GET /api/v1/keys": "200",
    "GET /api/v1/schemas": "200",
    "GET /api/v1/schemas/AgentPausedEvent/1.0": "200",
    "GET /api/v1/openapi.json": "200",
}


def test_every_route_that_is_served_is_here() -> None:
    served = {
        (_shape(path), method)
        for path, door in doors()
        for method in door().allowed_methods
        if method not in ("OPTIONS", "HEAD")
    }
    measured = {
        (
            _shape(f"/{resolve(_full('acme', ABSENT.path(route))).route}"),
            route.method.replace("HEAD", "GET"),
        )
        for route in ALL
    }
    assert measured == served
    assert list(COSTS) == [str(route) for route in ALL]


def test_a_route_reads_what_is_written_here_and_nothing_else(people: People) -> None:
    things = things_of(people)
    found = {str(route): cost(people.alice, route, things) for route in ALL}
    assert found == COSTS


def cost(alice: Caller, route: Route, things: Things) -> str:
    path = _on_a_fresh_agent(alice, route, things).path(route)
    query = "?from=0" if route.path.endswith("/diff") else ""
    with statements() as seen:
        response = alice.request(route.method, path + query, route.body)
    read = [name.partition("_")[2] or "several" for name in tables(seen)]
    return " ".join([str(response.status_code), *read])


def _on_a_fresh_agent(alice: Caller, route: Route, things: Things) -> Things:
    """Who is commanded is in a state for it, whatever the routes before have done."""
    if route.method == "GET" or not route.path.startswith("/agents/{agent}"):
        return things
    if route.path.endswith("/activate"):
        return replace(things, agent=alice.create())
    if "{task}" in route.path:
        task = f"t-{uuid.uuid4().hex}"
        return replace(things, agent=alice.busy(task), task=task)
    agent = alice.available()
    if route.path.endswith("/resume"):
        alice.made(alice.post(f"/agents/{agent}/pause", {"reason": "x"}))
    return replace(things, agent=agent)


def _full(tenant: str, path: str) -> str:
    return path if path.startswith(API) else f"{API}/tenants/{tenant}{path}"


def _shape(route: str) -> str:
    return re.sub(r"[<{][^>}]+[>}]", "{}", route)
