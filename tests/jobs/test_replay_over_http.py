"""What a replay says to a server, with a server that keeps what it was told in memory."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from agents.replay import fleet
from agents.replay.cost import Failure
from agents.replay.http import TRIES, HttpOrders, ServerRefused
from agents.replay.pace import Pace, Tally
from agents.replay.simulation import Simulation, Task
from events.vocabulary import Usage

Answer = httpx.Response | Exception
GOOD = "am_good"
TENANT = "/api/v1/tenants/acme/"


@dataclass
class Server:
    """Answers as CONTRACT §4 says, remembers each request, and can be told to fail."""

    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, httpx.Response] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)
    troubles: list[Callable[[httpx.Request], Answer]] = field(default_factory=list)
    seq: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.troubles:
            answer = self.troubles.pop(0)(request)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"] != f"Bearer {GOOD}":
            return problem(401, "unauthenticated")
        if not request.url.path.startswith(TENANT):
            return problem(404, "not_found")
        path = request.url.path.removeprefix(TENANT).split("/")
        if path == ["events"]:
            return httpx.Response(200, json={"items": [], "next": 0, "head": self.seq})
        if request.method == "GET":
            agent = self.agents.get(path[1])
            return httpx.Response(200, json=agent) if agent else problem(404, "not_found")
        key = request.headers["Idempotency-Key"]
        if key not in self.kept:
            self.kept[key] = self.order(path, json.loads(request.content))
        return self.kept[key]

    def order(self, path: list[str], body: dict[str, Any]) -> httpx.Response:
        self.seq += 1
        if path == ["agents"]:
            self.agents[body["agent_id"]] = {"status": "REGISTERED", "current_task_id": None}
            return httpx.Response(201, json=body)
        agent = self.agents[path[1]]
        match path[2:]:
            case ["activate"]:
                agent["status"] = "AVAILABLE"
            case ["tasks"]:
                if agent["status"] != "AVAILABLE":
                    return problem(409, "rule_violated")
                agent |= {"status": "BUSY", "current_task_id": body["task_id"]}
            case ["tasks", task_id, _]:
                assert agent["current_task_id"] == task_id
                agent |= {"status": "AVAILABLE", "current_task_id": None}
        return httpx.Response(200, json=agent)


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"type": f"/problems/{code}", "code": code, "detail": f"It is {code}."}
    return httpx.Response(status, json=body, headers=headers)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(server: Server, slept: list[float]) -> Callable[..., HttpOrders]:
    def connect(token: str = GOOD, tenant: str = "acme") -> HttpOrders:
        return HttpOrders(
            "http://mesh.example",
            token,
            tenant,
            "replay-1",
            Pace(None),
            Tally(),
            transport=httpx.MockTransport(server),
            sleep=slept.append,
        )

    return connect


def task(number: int, failure: Failure | None = None) -> Task:
    return Task(f"replay-1:{number}", {"line": number}, Usage(3, 4), 50, failure)


def test_a_whole_replay_goes_over_http(server: Server, connect: Callable[..., HttpOrders]) -> None:
    orders = connect()
    members = fleet.enlist(orders, 2, "replay")
    failure = Failure("RATE_LIMITED", "No.")

    Simulation(orders, members).run(iter([(0.0, task(2)), (1.0, task(3, failure))]))
    orders.close()

    told = [(each.method, each.url.path.removeprefix(TENANT)) for each in server.asked]
    assert ("POST", "agents/reviewer-01/tasks/replay-1:3/fail") in told
    complete = next(each for each in server.asked if each.url.path.endswith("/complete"))
    assert json.loads(complete.content) == {
        "execution_time_ms": 50,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    assert complete.headers["X-Correlation-Id"] == "replay-1:2"
    assert (orders.tally.tasks, orders.tally.failed) == (2, 1)
    assert orders.tally.events == server.seq


def test_every_order_has_a_key_of_its_own(
    server: Server, connect: Callable[..., HttpOrders]
) -> None:
    orders = connect()
    members = fleet.enlist(orders, 3, "replay")
    Simulation(orders, members).run(iter((at, task(2 + at)) for at in range(40)))

    posts = [each for each in server.asked if each.method == "POST"]
    assert len({each.headers["Idempotency-Key"] for each in posts}) == len(posts)


@pytest.mark.parametrize(
    "trouble",
    [
        lambda _: httpx.ConnectError("refused"),
        lambda _: httpx.ReadTimeout("late"),
        lambda _: httpx.RemoteProtocolError("cut off"),
        lambda _: problem(503, "unavailable"),
        lambda _: problem(429, "throttled"),
        lambda _: problem(409, "in_progress"),
        lambda _: problem(409, "conflict"),
        lambda _: httpx.Response(502, text="<html>"),
    ],
)
def test_an_order_that_got_no_answer_is_sent_again_under_its_key(
    server: Server,
    connect: Callable[..., HttpOrders],
    trouble: Callable[[httpx.Request], Answer],
) -> None:
    orders = connect()
    fleet.enlist(orders, 1, "replay")
    server.troubles = [trouble, trouble]

    assert orders.assign("coder-01", task(2))

    tries = server.asked[-3:]
    assert len({each.headers["Idempotency-Key"] for each in tries}) == 1
    assert len({each.content for each in tries}) == 1


def test_an_order_whose_answer_was_lost_happens_once(
    server: Server, connect: Callable[..., HttpOrders]
) -> None:
    orders = connect()
    fleet.enlist(orders, 1, "replay")

    def done_but_unheard(request: httpx.Request) -> Answer:
        server.answer(request)
        return httpx.ReadError("cut off")

    server.troubles = [done_but_unheard]

    assert orders.assign("coder-01", task(2))
    assert server.agents["coder-01"]["current_task_id"] == "replay-1:2"


def test_the_server_says_how_long_to_wait(
    server: Server, slept: list[float], connect: Callable[..., HttpOrders]
) -> None:
    orders = connect()
    server.troubles = [lambda _: problem(429, "throttled", **{"Retry-After": "7"})]

    orders.find("coder-01")

    assert slept == [7.0]


def test_tries_are_bounded(
    server: Server, slept: list[float], connect: Callable[..., HttpOrders]
) -> None:
    server.troubles = [lambda _: httpx.ConnectError("refused")] * 99

    with pytest.raises(ServerRefused, match=r"http://mesh\.example does not answer: refused"):
        connect()

    assert len(server.asked) == TRIES
    assert sum(slept) < 10


def test_an_agent_in_other_hands_refuses_without_an_end(
    server: Server, connect: Callable[..., HttpOrders]
) -> None:
    orders = connect()
    fleet.enlist(orders, 1, "replay")
    server.agents["coder-01"]["status"] = "PAUSED"

    assert not orders.assign("coder-01", task(2))


@pytest.mark.parametrize(
    ("token", "tenant", "words"),
    [
        ("am_bad", "acme", "does not take this token"),
        ("am_good", "globex", "shows this token no tenant 'globex'"),
    ],
)
def test_a_wrong_token_and_another_tenant_are_one_line(
    connect: Callable[..., HttpOrders], token: str, tenant: str, words: str
) -> None:
    with pytest.raises(ServerRefused, match=words):
        connect(token, tenant)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, text="<html>"), "is no AgentMesh"),
        (httpx.Response(200, json=[1]), "is no AgentMesh"),
        (problem(403, "forbidden"), "answers 403: It is forbidden."),
        (problem(500, "oops"), "answers 500: It is oops."),
    ],
)
def test_any_other_answer_is_one_line(
    server: Server, connect: Callable[..., HttpOrders], answer: httpx.Response, words: str
) -> None:
    server.troubles = [lambda _: answer]

    with pytest.raises(ServerRefused, match=words):
        connect()
