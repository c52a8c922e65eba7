"""Many processes at once: one winner, exact counts, and readers that miss nothing."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from django.contrib.auth import get_user_model

from agents import current, services
from agents.models import CurrentAgent, TaskClaim
from events import tenants
from events.models import Event, IdempotencyKey, Membership, Token
from events.vocabulary import Capability
from tests.log.crew import run_together
from tests.log.processes import planned
from tests.log.sample import ALICE, fault, head, stored

MANY = 8


def available(tenant: str, *agent_ids: str) -> None:
    for agent_id in agent_ids:
        services.create_agent(
            tenant=tenant,
            agent_id=agent_id,
            name=agent_id,
            capabilities=[Capability("translate", 1)],
            by=ALICE,
        )
        services.activate_agent(tenant=tenant, agent_id=agent_id, by=ALICE)


@pytest.mark.parametrize("spread", [1, 4], ids=["one tenant", "many tenants"])
def test_followers_see_every_event_once_and_in_order_while_many_write(
    subprocess_env: dict[str, str], fresh_slug: Callable[[str], str], spread: int
) -> None:
    slugs = [tenants.create_tenant(fresh_slug("acme")).slug for _ in range(spread)]
    names, appends = [f"w-{number}" for number in range(6)], 24
    plan = [step for name in names for step in planned(name, appends)]
    wanted = sum(size for manner, size in plan if manner not in ("veto", "doomed"))
    writers = [("write", {"tenants": slugs, "name": name, "appends": appends}) for name in names]
    follower = ("follow", {"tenants": slugs, "wanted": wanted})

    *wrote, first, second = run_together([*writers, follower, follower], subprocess_env)

    assert sum(each["events"] for each in wrote) == wanted
    # Had they come when all was written, each would have needed no more rounds than these.
    rounds = 1 + max(len(events) for events in first["seen"].values()) // 50
    assert first["pages"] > (rounds + 1) * spread, "the followers came when all was written"
    for slug in slugs:
        assert fault(slug) is None
        truth = [[row["seq"], row["event_id"].hex] for row in stored(slug)]
        assert first["seen"][slug] == second["seen"][slug] == truth
        moments = [row["recorded_at"] for row in stored(slug)]
        assert all(earlier <= later for earlier, later in pairwise(moments))
    late = sum(manner == "late" for manner, _ in plan)
    assert Token.objects.filter(tenant__in=slugs).count() == late


def test_every_version_of_an_agent_has_one_winner(
    acme: str, subprocess_env: dict[str, str]
) -> None:
    available(acme, "a-1")
    start = current.load(acme, "a-1").version
    rounds = start + 60

    found = run_together(
        [("take_rounds", {"tenant": acme, "agent_id": "a-1", "rounds": rounds})] * 6,
        subprocess_env,
    )

    won = sorted(version for each in found for version in each["won"])
    assert won == list(range(start, rounds))
    assert sum(each["lost"] for each in found) > 0, "nobody raced"
    assert fault(acme) is None


def test_racing_commands_end_well_or_with_a_named_error_and_the_counts_are_exact(
    acme: str, subprocess_env: dict[str, str]
) -> None:
    agents = ["a-1", "a-2"]
    available(acme, *agents)

    found = run_together(
        [
            (
                "command",
                {"tenant": acme, "agent_ids": agents, "name": f"c-{number}", "commands": 40},
            )
            for number in range(MANY)
        ],
        subprocess_env,
    )

    ended = sum((Counter(each["ended"]) for each in found), Counter[str]())
    assert ended["race lost"] == 0
    assert ended["assign"] > 0
    states = [current.load(acme, agent_id).agent for agent_id in agents]
    assert sum(state.tasks_assigned for state in states) == ended["assign"]
    assert sum(state.tasks_completed for state in states) == ended["complete"]
    assert sum(state.tasks_failed for state in states) == ended["fail"]
    for agent_id in agents:
        assert current.rebuild_agent(acme, agent_id).agent == current.load(acme, agent_id).agent
    types = Counter(Event.objects.filter(tenant=acme).values_list("type", flat=True))
    assert types["AgentTaskAssignedEvent"] == ended["assign"]
    assert types["AgentPausedEvent"] == ended["pause"]
    assert fault(acme) is None


def test_a_task_goes_to_one_agent_however_many_reach_for_it(
    acme: str, subprocess_env: dict[str, str]
) -> None:
    agents = [f"a-{number}" for number in range(6)]
    available(acme, *agents)
    task_ids = [f"t-{number}" for number in range(15)]

    found = run_together(
        [("claim", {"tenant": acme, "agent_id": each, "task_ids": task_ids}) for each in agents],
        subprocess_env,
    )

    assert sorted(task for each in found for task in each["got"]) == sorted(task_ids)
    assigned = Event.objects.filter(tenant=acme, type="AgentTaskAssignedEvent").count()
    assert assigned == len(task_ids)
    assert TaskClaim.objects.filter(tenant=acme, status="completed").count() == len(task_ids)
    assert fault(acme) is None


def test_a_request_that_many_send_at_once_happens_once(
    acme: str, subprocess_env: dict[str, str]
) -> None:
    available(acme, "a-1")
    before = head(acme)[0]

    found = run_together(
        [("send_again", {"tenant": acme, "agent_id": "a-1", "keys": 20})] * 6, subprocess_env
    )

    assert sum(each["recorded"] for each in found) == 20
    assert all(each["told"] == found[0]["told"] for each in found)
    heartbeats = Event.objects.filter(tenant=acme, seq__gt=before)
    assert heartbeats.filter(type="AgentHealthCheckPassedEvent").count() == 20
    assert IdempotencyKey.objects.filter(tenant=acme).count() == 20


def test_a_person_is_let_in_once_however_many_do_it(
    acme: str, subprocess_env: dict[str, str]
) -> None:
    people = [f"{acme}-{number}" for number in range(8)]
    for username in people:
        get_user_model().objects.create_user(username)

    found = run_together(
        [("add_members", {"tenant": acme, "usernames": people})] * 4, subprocess_env
    )

    assert sorted(name for each in found for name in each["added"]) == people
    assert Membership.objects.filter(tenant=acme).count() == len(people)
    assert Event.objects.filter(tenant=acme, type="MemberAdded").count() == len(people)
    assert fault(acme) is None


def test_live_rows_equal_rebuilt_rows_after_all_that(
    acme: str, subprocess_env: dict[str, str]
) -> None:
    agents = [f"a-{number}" for number in range(3)]
    available(acme, *agents)
    run_together(
        [
            ("command", {"tenant": acme, "agent_ids": agents, "name": f"r-{n}", "commands": 25})
            for n in range(4)
        ],
        subprocess_env,
    )

    for row in CurrentAgent.objects.filter(tenant=acme):
        rebuilt = current.rebuild_agent(acme, row.agent_id)
        assert (row.version, row.seq) == (rebuilt.version, rebuilt.seq)
        live = {name: getattr(row, name) for name in current.columns(rebuilt.agent)}
        assert live == current.columns(rebuilt.agent)
