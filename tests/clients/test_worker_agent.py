"""The example of an agent, told what a server may tell it; nothing waits here."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from examples.worker_agent import NEWS, PROFILE, Refused, Worker
from tests.house.rooms import ROOT

Answer = Callable[[httpx.Request], httpx.Response]
ME = "/api/v1/tenants/acme/agents/my-agent"


def problem(status: int, code: str, **headers: str) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            status, json={"code": code, "detail": f"It is {code}."}, headers=headers
        )

    return answer


def nobody_there(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def no_answer(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("silent", request=request)


def a_proxys_page(request: httpx.Request) -> httpx.Response:
    return httpx.Response(502, text="<h1>Bad gateway</h1>")


@dataclass
class Server:
    """Hands its tasks out one after another and terminates the agent when the last has ended.

    troubles: what is answered first, by the path's last part.
    """

    tasks: dict[str, Any]
    troubles: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    asked: list[httpx.Request] = field(default_factory=list)
    kept: dict[str, httpx.Response] = field(default_factory=dict)
    ended: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        # A copy: the client sends one object again and again.
        self.asked.append(
            httpx.Request(
                request.method, request.url, headers=request.headers, content=request.content
            )
        )
        troubles = self.troubles[request.url.path.rpartition("/")[2]]
        return troubles.pop(0)(request) if troubles else self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self.read(request)
        key = request.headers["Idempotency-Key"]
        if key not in self.kept:
            self.kept[key] = self.take(request)
        return self.kept[key]

    def read(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == ME:
            current = next(iter(self.tasks), None)
            return httpx.Response(
                200, json={"current_task_id": current}, headers={"AgentMesh-Seq": "41"}
            )
        if request.url.path.endswith("/stream"):
            return httpx.Response(
                200, text="event: stream-open\ndata: {}\n\nevent: AgentTaskAssignedEvent\n\n"
            )
        given = self.tasks[request.url.path.rpartition("/")[2]]
        return httpx.Response(200, json={"input": given})

    def take(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.removeprefix(ME).split("/"):
            case ["", "heartbeat"] if not self.tasks:
                return problem(409, "rule_violated")(request)
            case ["", "tasks", task_id, end]:
                if task_id not in self.tasks:
                    return problem(409, "rule_violated")(request)
                del self.tasks[task_id]
                self.ended[task_id] = end, json.loads(request.content)
        return httpx.Response(200, json={})

    def requests(self, last_part: str) -> list[httpx.Request]:
        return [each for each in self.asked if each.url.path.rpartition("/")[2] == last_part]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited: not at all, and not for ever."""
    sleep, waits = asyncio.sleep, list[float]()

    async def note(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 1_000
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return waits


def live(server: Server, kind: type[Worker] = Worker) -> str:
    """An agent's life; how it ended."""

    async def run() -> None:
        async with httpx.AsyncClient(
            base_url="http://mesh.example/api/v1/tenants/acme",
            transport=httpx.MockTransport(server),
        ) as http:
            await kind(http, PROFILE).run()

    with pytest.raises(Refused) as end:
        asyncio.run(run())
    return str(end.value)


class Picky(Worker):
    """Takes numbers alone, and may give what no JSON holds."""

    async def work(self, given: Any) -> dict[str, Any]:
        return {"result": 1 / given}


def test_it_is_complete_in_less_than_a_hundred_lines() -> None:
    source = (ROOT / "examples" / "worker_agent.py").read_text(encoding="utf-8")

    assert len(source.splitlines()) < 100


def test_it_registers_works_its_tasks_off_and_ends_when_it_is_terminated(
    slept: list[float],
) -> None:
    server = Server({"t-1": {"n": 1}, "t-2": "two", "t-3": None})

    end = live(server)

    assert end == "agents/my-agent was terminated."
    assert [each.url.path for each in server.asked[:2]] == [
        "/api/v1/tenants/acme/agents",
        f"{ME}/activate",
    ]
    assert {task_id: body["result"] for task_id, (_, body) in server.ended.items()} == {
        "t-1": {"n": 1},
        "t-2": "two",
        "t-3": None,
    }
    assert server.ended["t-1"][0] == "complete"
    assert set(server.ended["t-1"][1]) == {"result", "usage", "execution_time_ms"}


def test_it_follows_its_stream_from_the_seq_that_its_state_had(slept: list[float]) -> None:
    server = Server({"t-1": 1})

    live(server)

    assert str(server.requests("stream")[0].url).endswith(f"{NEWS}&lastEventId=41")


def test_it_looks_at_its_state_after_each_event_and_before_it_follows_anew(
    slept: list[float],
) -> None:
    server = Server({"t-1": 1, "t-2": 2, "t-3": 3})

    live(server)

    reads = [each.url.path.rpartition("/")[2] for each in server.asked if each.method == "GET"]
    assert [each for each in reads if each in ("my-agent", "stream")][:5] == [
        "my-agent",
        "stream",
        "my-agent",  # for the event; stream-open is none
        "my-agent",
        "stream",
    ]


def test_every_order_has_a_key_of_its_own(slept: list[float]) -> None:
    server = Server({"t-1": 1, "t-2": 2})

    live(server)

    orders = [each for each in server.asked if each.method == "POST"]
    assert len({each.headers["Idempotency-Key"] for each in orders}) == len(orders)


def test_one_that_is_known_already_goes_on(slept: list[float]) -> None:
    server = Server({"t-1": 1})
    server.troubles["agents"] = [problem(409, "already_exists")]
    server.troubles["activate"] = [problem(409, "rule_violated")]

    live(server)

    assert set(server.ended) == {"t-1"}


@pytest.mark.parametrize(
    "trouble",
    [
        nobody_there,
        no_answer,
        a_proxys_page,
        problem(409, "in_progress"),
        problem(409, "conflict"),
        problem(429, "throttled"),
        problem(500, "internal_error"),
        problem(503, "unavailable"),
    ],
)
@pytest.mark.parametrize("where", ["agents", "activate", "my-agent", "t-1", "complete", "stream"])
def test_what_passes_is_tried_again_as_the_same_request(
    slept: list[float], where: str, trouble: Answer
) -> None:
    server = Server({"t-1": 1})
    server.troubles[where] = [trouble] * 3

    end = live(server)

    assert end.endswith("was terminated.")
    assert server.ended["t-1"][0] == "complete"
    again = server.requests(where)[:4]
    assert len({each.headers["Idempotency-Key"] for each in again}) == 1
    assert len({each.content for each in again}) == 1


def test_an_answer_that_was_lost_is_given_again_and_nothing_happens_twice(
    slept: list[float],
) -> None:
    server = Server({"t-1": 1, "t-2": 2})

    def lost(request: httpx.Request) -> httpx.Response:
        server.answer(request)
        raise httpx.RemoteProtocolError("gone", request=request)

    server.troubles["complete"] = [lost]

    live(server)

    first, again, _ = server.requests("complete")
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]
    assert [end for end, _ in server.ended.values()] == ["complete", "complete"]


@pytest.mark.parametrize(("status", "code"), [(429, "throttled"), (503, "unavailable")])
def test_it_waits_as_long_as_it_is_told(slept: list[float], status: int, code: str) -> None:
    server = Server({"t-1": 1})
    server.troubles["agents"] = [problem(status, code, **{"Retry-After": "70"})]

    live(server)

    assert 70 < slept[0] < 75


def test_it_waits_longer_the_longer_nobody_answers_but_not_for_ever(slept: list[float]) -> None:
    server = Server({"t-1": 1})
    server.troubles["agents"] = [nobody_there] * 200

    live(server)

    assert max(slept[:200]) <= 30
    assert sum(slept[100:200]) / 100 > sum(slept[:2]) / 2
    assert len(set(slept[:200])) == 200


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthenticated"), (403, "forbidden"), (404, "not_found"), (400, "invalid")],
)
@pytest.mark.parametrize("where", ["agents", "activate", "my-agent", "stream", "heartbeat"])
def test_it_ends_with_one_line_when_it_is_shut_out(
    slept: list[float], where: str, status: int, code: str
) -> None:
    server = Server({"t-1": 1})
    server.troubles[where] = [problem(status, code)] * 2

    end = live(server)

    assert end.endswith(f": It is {code}.")
    assert "\n" not in end


def test_what_the_work_raises_fails_the_task_and_the_next_one_is_done(slept: list[float]) -> None:
    server = Server({"t-1": 0, "t-2": 2})

    live(server, Picky)

    end, body = server.ended["t-1"]
    assert (end, body["error_code"]) == ("fail", "ZeroDivisionError")
    assert body["error_message"] == "ZeroDivisionError('division by zero')"
    assert server.ended["t-2"][0] == "complete"


def test_a_result_that_cannot_be_sent_fails_its_task(slept: list[float]) -> None:
    server = Server({"t-1": -1e-320, "t-2": 2})

    live(server, Picky)

    assert {task_id: end for task_id, (end, _) in server.ended.items()} == {
        "t-1": "fail",
        "t-2": "complete",
    }


@pytest.mark.parametrize(("status", "code"), [(400, "invalid"), (413, "too_large")])
def test_a_result_that_is_not_taken_fails_its_task(
    slept: list[float], status: int, code: str
) -> None:
    server = Server({"t-1": 1})
    server.troubles["complete"] = [problem(status, code)]

    live(server)

    end, body = server.ended["t-1"]
    assert end == "fail"
    assert f"It is {code}." in body["error_message"]


def test_a_task_that_others_have_ended_is_left_at_that(slept: list[float]) -> None:
    server = Server({"t-1": 1, "t-2": 2})

    def others_were_first(request: httpx.Request) -> httpx.Response:
        del server.tasks["t-1"]
        return server.answer(request)

    server.troubles["complete"] = [others_were_first]

    live(server)

    assert server.ended.keys() == {"t-2"}


def test_a_task_that_went_to_another_agent_is_left_at_that(slept: list[float]) -> None:
    server = Server({"t-1": 1, "t-2": 2})

    def gone(request: httpx.Request) -> httpx.Response:
        del server.tasks["t-1"]
        return problem(404, "not_found")(request)

    server.troubles["t-1"] = [gone]

    live(server)

    assert server.ended.keys() == {"t-2"}


def test_one_that_is_terminated_at_its_work_leaves_off(slept: list[float]) -> None:
    left: list[Any] = []

    class Slow(Worker):
        async def work(self, given: Any) -> dict[str, Any]:
            server.tasks.clear()
            try:
                await asyncio.Event().wait()
            finally:
                left.append(given)
            return {}

    server = Server({"t-1": "long"})

    assert live(server, Slow).endswith("was terminated.")
    assert left == ["long"]
