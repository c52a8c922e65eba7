"""The demo's fleet as clients of a real server, and what people do to it meanwhile."""

import asyncio
import stat
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentmesh_site.demo import agent, arrivals
from agentmesh_site.demo.desk import Desk, Refused, client
from agentmesh_site.demo.fleet import PAUSES, Fleet, Plan
from agentmesh_site.demo.keyring import Keyring
from agents import services
from agents.current import AgentNotFound, load
from agents.domain.state import Agent, Intent, Status
from agents.models import CurrentAgent
from agents.rebuild import compare
from agents.replay.fleet import member
from events import tenants
from events.log.verify import verify
from events.models import Event, Token
from tests.jobs.conftest import ALICE
from tests.stream.server import Server

PLAN = Plan(5, in_waiting=1, away=1, stretch=1.0, look_every_seconds=0.2)
PATIENCE_SECONDS = 60


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "SLOWNESS", 0.05)
    monkeypatch.setattr(arrivals, "NOBODY_FREE_SECONDS", 0.1)


@pytest.fixture
def fleet(server: Server, acme: str, tmp_path: Path) -> Callable[..., Any]:
    """`fleet(visit)`: a fleet is kept until the visit is over. The next one finds it again."""
    _, admin = tenants.issue_token(acme, "demo admin", "admin", by=ALICE)

    async def keep(visit: Callable[[Fleet], Coroutine[Any, Any, None]]) -> None:
        connect = partial(client, server.url, acme)
        async with connect(admin) as boss:
            keys = Keyring(tmp_path / "agents.json", acme, Desk(boss))
            await keys.settle()
            async with connect(await keys.of_dispatcher()) as http:
                kept = Fleet(PLAN, Desk(http), keys, connect)
                keeping = asyncio.create_task(kept.keep())
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await visit(kept)
                finally:
                    keeping.cancel()
                    with suppress(asyncio.CancelledError):
                        await keeping

    return lambda visit: asyncio.run(keep(visit))


async def until(condition: Callable[[], object]) -> None:
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110 -- others do it, elsewhere
        await asyncio.sleep(0.05)


async def do(service: Callable[..., object], **what: Any) -> None:
    """A person's order, from the person's own thread."""
    await asyncio.to_thread(service, by=ALICE, **what)


def test_the_fleet_goes_on_whatever_people_do_to_it(
    fleet: Callable[..., Any], acme: str, caplog: pytest.LogCaptureFixture
) -> None:
    def of(agent_id: str) -> Agent | None:
        with suppress(AgentNotFound):
            return load(acme, agent_id).agent
        return None

    def status(agent_id: str) -> Status | None:
        found = of(agent_id)
        return found.status if found else None

    def is_at_work(agent_id: str) -> bool:
        found = of(agent_id)
        return found is not None and found.tasks_completed > 0

    def everything_can_be_seen() -> bool:
        rows = CurrentAgent.objects.filter(tenant=acme)
        return set(rows.values_list("status", flat=True)) >= {*Status}

    async def visit(kept: Fleet) -> None:
        await until(everything_can_be_seen)
        waiting = "coder-02"
        await until(lambda: status(waiting) is Status.REGISTERED)
        await do(services.activate_agent, tenant=acme, agent_id=waiting)
        await do(
            services.terminate_agent,
            tenant=acme,
            agent_id="coder-01",
            reason="Too dear.",
            force=True,
        )
        await until(lambda: is_at_work(waiting))
        await until(lambda: is_at_work("reviewer-02"))  # the next by number
        assert kept.members.keys() == {
            "reviewer-01",
            "tester-01",
            "writer-01",
            "coder-02",
            "reviewer-02",
        }

    fleet(visit)

    assert caplog.text == ""
    verify(acme)
    assert list(compare(acme)[1]) == []


def test_an_agent_that_takes_its_time_to_register_is_not_replaced() -> None:
    class Empty(Desk):
        async def all_of(self, path: str) -> list[dict[str, Any]]:
            return []

    async def look() -> Fleet:
        async with httpx.AsyncClient() as nowhere:
            desk = Empty(nowhere)
            kept = Fleet(PLAN, desk, Keyring(Path("none"), "acme", desk), lambda _: nowhere)
            kept.members["coder-01"] = member(1, "demo")
            await kept._look()
            return kept

    assert asyncio.run(look()).members.keys() == {"coder-01"}


def test_a_second_start_finds_all_as_it_was_with_the_same_tokens(
    fleet: Callable[..., Any], acme: str, tmp_path: Path
) -> None:
    mine: list[str] = []

    async def first(kept: Fleet) -> None:
        await until(lambda: kept.paused and kept.silent)
        mine.append(min({*kept.processes} - {*kept.paused}))
        await do(services.pause_agent, tenant=acme, agent_id=mine[0], reason="Mine.")

    fleet(first)
    issued = Token.objects.filter(tenant=acme).count()
    left_paused = [
        each
        for each in CurrentAgent.objects.filter(tenant=acme, intent=Intent.PAUSED.value)
        if load(acme, each.agent_id).agent.pause_reason in PAUSES
    ]

    async def second(kept: Fleet) -> None:
        await until(lambda: len(kept.processes) == PLAN.size - PLAN.in_waiting - PLAN.away)

    fleet(second)

    assert left_paused
    assert load(acme, mine[0]).agent.pause_reason == "Mine."
    assert Token.objects.filter(tenant=acme).count() == issued == 2 + PLAN.size - PLAN.in_waiting
    assert stat.S_IMODE((tmp_path / "agents.json").stat().st_mode) == 0o600


def test_a_lost_keyring_is_made_anew_and_the_old_tokens_are_revoked(
    server: Server, acme: str, tmp_path: Path
) -> None:
    _, admin = tenants.issue_token(acme, "demo admin", "admin", by=ALICE)
    file = tmp_path / "agents.json"

    async def ring() -> tuple[str, str]:
        async with client(server.url, acme, admin) as boss:
            keys = Keyring(file, acme, Desk(boss))
            await keys.settle()
            return await keys.of_agent("coder-01"), await keys.of_dispatcher()

    first = asyncio.run(ring())
    again = asyncio.run(ring())
    file.write_bytes(b"{")
    anew = asyncio.run(ring())

    assert again == first
    assert not {*anew} & {*first}
    standing = Token.objects.filter(tenant=acme, revoked_at=None)
    assert sorted(standing.values_list("name", flat=True)) == [
        "demo admin",
        "demo coder-01",
        "demo dispatcher",
    ]
    assert Event.objects.filter(tenant=acme, type="TokenRevoked").count() == 2


def test_a_desk_says_what_it_was_refused(server: Server, acme: str) -> None:
    async def ask() -> None:
        async with client(server.url, acme, "am_none") as http:
            await Desk(http).all_of("agents")

    with pytest.raises(Refused, match="401"):
        asyncio.run(ask())
