"""Who is let in, what exists for them, and in which order a request is refused."""

import uuid
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from events import tenants
from events.models import Role
from tests.api.conftest import CREATION, HEARTBEAT, SOMEBODY, Caller, People, body_of, people_of
from tests.api.routes import PLAIN, ROUTES, WITH_A_THING, WRITING, Route
from tests.api.things import ABSENT, NO_UUID, Things, things_of


@pytest.fixture
def things(people: People) -> Things:
    return things_of(people)


ROLES = ("admin", "operator", "auditor", "agent")


def named(people: People, role: str, things: Things) -> Caller:
    if role == "agent":
        return people.agent(things.agent)
    return {"admin": people.alice, "operator": people.bob, "auditor": people.carol}[role]


STANDING: list[tuple[People, Things]] = []  # what these tests of a process have in common


class Refusals:
    """Whoever is refused or reads changes nothing, so all these tests ask about the same things."""

    @pytest.fixture
    def world(self, committed_db: None, fresh_slug: Callable[[str], str]) -> tuple[People, Things]:
        if not STANDING:
            people = people_of(fresh_slug("acme"), fresh_slug("globex"))
            STANDING.append((people, things_of(people)))
        return STANDING[0]

    @pytest.fixture
    def people(self, world: tuple[People, Things]) -> People:
        return world[0]

    @pytest.fixture
    def things(self, world: tuple[People, Things]) -> Things:
        return world[1]


MAY = [(route, role) for route in ROUTES for role in ROLES if role in route.roles]
MAY_NOT = [(route, role) for route in ROUTES for role in ROLES if role not in route.roles]


def is_let_in(people: People, role: str, things: Things, route: Route) -> None:
    response = named(people, role, things).request(route.method, things.path(route), route.body)
    assert response.status_code not in (401, 403, 404), response.content


@pytest.mark.parametrize(
    ("route", "role"), [each for each in MAY if each[0].method != "GET"], ids=str
)
def test_a_role_may_change_what_the_table_says(
    people: People, things: Things, route: Route, role: str
) -> None:
    is_let_in(people, role, things, route)


class TestTheTable(Refusals):
    @pytest.mark.parametrize(
        ("route", "role"), [each for each in MAY if each[0].method == "GET"], ids=str
    )
    def test_a_role_may_read_what_it_says(
        self, people: People, things: Things, route: Route, role: str
    ) -> None:
        is_let_in(people, role, things, route)

    @pytest.mark.parametrize(("route", "role"), MAY_NOT, ids=str)
    def test_a_role_may_nothing_else(
        self, people: People, things: Things, route: Route, role: str
    ) -> None:
        response = named(people, role, things).request(route.method, things.path(route), route.body)
        assert (response.status_code, body_of(response)["code"]) == (403, "forbidden")


@pytest.mark.parametrize("route", ROUTES, ids=str)
class TestEveryRoute(Refusals):
    def test_mallory_sees_what_she_would_see_if_it_did_not_exist(
        self, people: People, things: Things, route: Route
    ) -> None:
        there, nowhere = people.mallory, Caller("no-such-tenant", people.mallory.token)
        path = things.path(route)
        real = there.request(
            route.method, f"/api/v1/tenants/{people.alice.tenant}{path}", route.body
        )
        absent = nowhere.request(route.method, path, route.body)
        assert (real.status_code, real.content) == (404, absent.content)
        ours = people.alice.get("/agents/nobody-here")
        assert (ours.status_code, ours.content) == (404, absent.content)
        assert sorted(real.headers) == sorted(absent.headers)

    def test_nobody_comes_in_without_a_name(
        self, people: People, things: Things, route: Route
    ) -> None:
        stranger = Caller(people.alice.tenant, "")
        for authorization in ("", "Bearer", "Bearer am_nonsense", "Basic YTpi", "Bearer é\x7f"):
            response = stranger.request(
                route.method, things.path(route), route.body, Authorization=authorization
            )
            assert (response.status_code, body_of(response)["code"]) == (401, "unauthenticated")
            assert response["WWW-Authenticate"].startswith("Bearer")

    def test_a_slash_at_the_end_is_another_path(
        self, people: People, things: Things, route: Route
    ) -> None:
        response = people.alice.request(route.method, things.path(route) + "/", route.body)
        assert (response.status_code, body_of(response)["code"]) == (404, "not_found")

    def test_an_unknown_parameter_is_named(
        self, people: People, things: Things, route: Route
    ) -> None:
        response = people.alice.request(route.method, things.path(route) + "?nope=1", route.body)
        assert response.status_code == 400
        assert body_of(response)["errors"][0]["parameter"] == "nope"

    def test_only_json_is_answered(self, people: People, things: Things, route: Route) -> None:
        path = things.path(route)
        response = people.alice.request(route.method, path, route.body, Accept="text/html")
        assert (response.status_code, body_of(response)["code"]) == (406, "not_acceptable")
        assert response["Content-Type"] == "application/problem+json"

    def test_another_method_is_refused_with_those_there_are(
        self, people: People, things: Things, route: Route
    ) -> None:
        response = people.alice.request("PUT", things.path(route))
        assert (response.status_code, body_of(response)["code"]) == (405, "method_not_allowed")
        assert route.method in response["Allow"].split(", ")


@pytest.mark.parametrize("route", [each for each in ROUTES if each.method == "GET"], ids=str)
class TestEveryPath(Refusals):
    def test_head_is_get_without_its_body(
        self, people: People, things: Things, route: Route
    ) -> None:
        path = things.path(route)
        get, head = (people.alice.request(method, path) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert set(get.headers) - set(head.headers) <= {"Content-Length"}
        assert people.alice.request("HEAD", path + "?nope=1").status_code == 400
        assert (
            people.mallory.request(
                "HEAD", f"/api/v1/tenants/{people.alice.tenant}{path}"
            ).status_code
            == 404
        )

    def test_options_tells_the_methods_to_whom_it_is_there(
        self, people: People, things: Things, route: Route
    ) -> None:
        path = things.path(route)
        response = people.carol.request("OPTIONS", path)
        assert (response.status_code, response.content) == (204, b"")
        there = {each.method for each in ROUTES if each.path == route.path}
        assert set(response["Allow"].split(", ")) == there | {"HEAD", "OPTIONS"}
        assert (
            people.mallory.request(
                "OPTIONS", f"/api/v1/tenants/{people.alice.tenant}{path}"
            ).status_code
            == 404
        )
        assert Caller(people.alice.tenant, "").request("OPTIONS", path).status_code == 401


@pytest.mark.parametrize("path", [f"/api/v1{each}" for each in PLAIN])
def test_paths_of_no_tenant_are_refused_alike(people: People, path: str) -> None:
    for method, query, expected in (
        ("GET", "", 200),
        ("HEAD", "", 200),
        ("OPTIONS", "", 204),
        ("POST", "", 405),
        ("DELETE", "", 405),
        ("GET", "?nope=1", 400),
        ("GET", "/", 404),
    ):
        response = people.alice.request(method, path + query)
        assert response.status_code == expected, (method, query)
        if expected == 405:
            assert response["Allow"] == "GET, HEAD, OPTIONS"
        assert response["X-Correlation-Id"]
    assert people.alice.get(path, Accept="image/png").status_code == 406
    signed_out = Client().get(path).status_code
    assert signed_out == (401 if path.endswith("/me") else 200)


class TestWhatComesFirst(Refusals):
    @pytest.mark.parametrize("route", WITH_A_THING, ids=str)
    def test_what_is_not_there_comes_before_what_may_not_be_done(
        self, people: People, things: Things, route: Route
    ) -> None:
        path = ABSENT.path(route)
        for caller in (people.carol, people.agent(things.agent), people.alice):
            for method, body in ((route.method, b"\xff{"), ("PUT", None)):
                response = caller.request(method, path + "?nope=1", body)
                assert response.status_code == 404, (path, response.content)
                assert response.content == people.mallory.get("/agents/x").content

    @pytest.mark.parametrize("route", WRITING, ids=str)
    def test_a_role_comes_before_a_bad_body(
        self, people: People, things: Things, route: Route
    ) -> None:
        refused = people.bob if "auditor" in route.roles else people.carol
        assert refused.request(route.method, things.path(route), b"{").status_code == 403

    @pytest.mark.parametrize("route", WRITING, ids=str)
    def test_only_json_is_taken(self, people: People, things: Things, route: Route) -> None:
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ):
            response = people.alice.request(
                route.method, things.path(route), b"{}", **{"Content-Type": kind}
            )
            assert (response.status_code, body_of(response)["code"]) == (
                415,
                "unsupported_media_type",
            )


def test_another_agent_is_as_absent_to_an_agent_as_none(people: People, things: Things) -> None:
    other = people.bob.busy("t-2")
    agent = people.agent(things.agent)
    event = body_of(people.bob.get(f"/agents/{other}/events"))["items"][0]["id"]
    tenants_own = body_of(people.alice.get("/events?types=TokenIssued"))["items"][0]["id"]
    for path in (f"/agents/{other}", f"/agents/{other}/events", "/tasks/t-2"):
        assert agent.get(path).status_code == 404
    for each in (event, tenants_own):
        assert agent.get(f"/events/{each}").content == agent.get(f"/events/{NO_UUID}").content
    assert agent.post(f"/agents/{other}/heartbeat", HEARTBEAT).status_code == 404
    assert agent.post(f"/agents/{other}/terminate", {"reason": "x"}).status_code == 404
    assert [each["agent_id"] for each in body_of(agent.get("/agents"))["items"]] == [things.agent]
    assert body_of(agent.get(f"/events?agent={other}"))["items"] == []
    subjects = {each.get("subject") for each in body_of(agent.get("/events"))["items"]}
    assert subjects == {things.agent}


def test_an_agent_creates_itself_alone(people: People) -> None:
    agent = people.agent("robot-7")
    refused = agent.post("/agents", CREATION | {"agent_id": "robot-8"})
    assert (refused.status_code, body_of(refused)["code"]) == (403, "forbidden")
    assert body_of(agent.post("/agents", CREATION))["agent_id"] == "robot-7"


def test_a_refused_attempt_is_a_fact_once_a_minute(people: People) -> None:
    agent = people.bob.create()
    for _ in range(3):
        people.carol.post(f"/agents/{agent}/activate")
    denied = body_of(people.carol.get("/events?types=AccessDenied"))["items"]
    assert [(each["actor"], each["data"]["method"]) for each in denied] == [("token:carol", "POST")]
    assert denied[0]["data"]["route"].endswith("/agents/<agent_id>/activate")
    assert agent not in denied[0]["data"]["route"]


def test_a_token_opens_nothing_once_it_is_revoked_or_expired(people: People) -> None:
    token, secret = tenants.issue_token(people.alice.tenant, "ci", Role.AUDITOR, by=SOMEBODY)
    caller = Caller(people.alice.tenant, secret)
    assert caller.get("/agents").status_code == 200
    assert people.alice.delete(f"/tokens/{token.id}").status_code == 204
    assert caller.get("/agents").status_code == 401


class TestABrowser:
    @pytest.fixture
    def browser(self, people: People) -> Client:
        person = User.objects.create_user(f"eve-{uuid.uuid4().hex[:8]}")
        tenants.add_member(people.alice.tenant, person.username, Role.OPERATOR, by=SOMEBODY)
        client = Client(enforce_csrf_checks=True)
        client.force_login(person)
        return client

    def test_reads_with_its_session(self, browser: Client, people: People) -> None:
        assert browser.get(f"/api/v1/tenants/{people.alice.tenant}/agents").status_code == 200
        assert browser.get(f"/api/v1/tenants/{people.mallory.tenant}/agents").status_code == 404

    def test_changes_nothing_without_the_csrf_token(self, browser: Client, people: People) -> None:
        path = f"/api/v1/tenants/{people.alice.tenant}/agents"
        for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
            response = browser.post(path, b"--x", content_type=kind)
            assert (response.status_code, response.json()["code"]) == (403, "forbidden")
            assert response["Content-Type"] == "application/problem+json"

    def test_changes_things_with_it(self, browser: Client, people: People) -> None:
        token = "a" * 32
        browser.cookies["csrftoken"] = token
        response = browser.post(
            f"/api/v1/tenants/{people.alice.tenant}/agents",
            CREATION,
            content_type="application/json",
            headers={"X-CSRFToken": token},
        )
        assert response.status_code == 201

    def test_is_told_who_it_is(self, browser: Client, people: People) -> None:
        me = browser.get("/api/v1/me").json()
        assert me["actor"].startswith("user:eve-")
        assert me["tenants"] == [{"slug": people.alice.tenant, "role": "operator"}]


def test_a_superuser_is_an_admin_everywhere(people: People) -> None:
    root = User.objects.create_superuser(f"root-{uuid.uuid4().hex[:8]}")
    client = Client()
    client.force_login(root)
    assert client.get(f"/api/v1/tenants/{people.alice.tenant}/tokens").status_code == 200
    assert client.get("/api/v1/tenants/no-such-tenant/tokens").status_code == 404


def test_a_token_is_told_who_it_is(people: People) -> None:
    me = body_of(people.carol.get("/api/v1/me"))
    tenant = {"slug": people.carol.tenant, "role": "auditor"}
    assert me == {"actor": "token:carol", "tenants": [tenant]}
    assert Client().get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/x", "/api/v1/me/"]
)
def test_an_unknown_path_is_a_problem_too(people: People, path: str) -> None:
    response = people.alice.get(path)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.content == people.alice.get("/agents/nobody-here").content
    for method in ("POST", "PUT", "PATCH", "DELETE"):  # as programs do: without a form's CSRF token
        other = Client(enforce_csrf_checks=True).generic(method, path)
        assert (other.status_code, other.content) == (404, response.content)


def test_head_and_options_are_answered(people: People) -> None:
    head = people.alice.request("HEAD", "/agents")
    assert (head.status_code, head.content) == (200, b"")
    options = people.alice.request("OPTIONS", "/agents")
    assert (options.status_code, options["Allow"]) == (204, "GET, POST, HEAD, OPTIONS")


def test_a_refused_host_is_a_problem_too(people: People) -> None:
    response = people.alice.get("/agents", Host="evil.example")
    assert (response.status_code, body_of(response)["code"]) == (400, "invalid")


def test_a_fault_of_ours_is_a_problem_that_tells_nothing(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("events.log.read.head", breaks)
    people.alice.client.raise_request_exception = False
    response = people.alice.get("/agents")
    assert (response.status_code, body_of(response)["code"]) == (500, "internal_error")
    assert b"secret" not in response.content


def test_a_database_that_does_not_answer_is_unavailable(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise OperationalError("no connection")

    monkeypatch.setattr("events.log.read.head", breaks)
    response = people.alice.get("/agents")
    assert (response.status_code, body_of(response)["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "1"


def test_a_superusers_look_is_a_fact_once_an_hour(people: People) -> None:
    root = User.objects.create_superuser(f"root-{uuid.uuid4().hex[:8]}")
    client = Client()
    client.force_login(root)
    for _ in range(3):
        client.get(f"/api/v1/tenants/{people.alice.tenant}/agents")
    looks = body_of(people.alice.get("/events?types=TenantViewedBySuperuser"))["items"]
    assert [each["actor"] for each in looks] == [f"user:{root.username}"]
