"""The past is what the events up to there fold to, whatever stored states help or are lost."""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import fleet, history, services, states
from agents.current import FOLD, AgentNotFound, Loaded
from agents.domain.state import Intent
from agents.fleet import Wanted
from agents.history import Point, VersionNotReached
from agents.models import AgentState, CurrentAgent
from agents.rebuild import compare
from events.log import places, read
from events.models import Event
from tests.services.conftest import ALICE, create
from tests.services.past import Standing, bulk, crowd, live, told

EVERYBODY = Wanted(intents=fleet.INTENTS)


def whole(tenant: str, seq: int, wanted: Wanted = EVERYBODY, limit: int = 1000) -> list[Loaded]:
    found: list[Loaded] = []
    after = None
    for _ in range(1_000):
        page = fleet.page(tenant, wanted, limit=limit, after=after, seq=seq)
        found += page.agents
        if page.next is None:
            return found
        after = page.next
    raise AssertionError("The list has no end.")


def standing(loaded: Loaded) -> Standing:
    return loaded.agent, loaded.version, loaded.seq


def expected(then: dict[str, Standing]) -> list[Standing]:
    return [then[agent_id] for agent_id in sorted(then)]


def drop_every_other(tenant: str) -> None:
    for row in AgentState.objects.filter(tenant=tenant).order_by("agent_id", "version")[::2]:
        AgentState.objects.filter(tenant=tenant, pk=row.pk).delete()


def spoil_half(**columns: Any) -> Callable[[str], None]:
    def spoil(tenant: str) -> None:
        for row in AgentState.objects.filter(tenant=tenant).order_by("agent_id", "version")[1::2]:
            AgentState.objects.filter(tenant=tenant, pk=row.pk).update(**columns)

    return spoil


def spoil_all(**columns: Any) -> Callable[[str], object]:
    return lambda tenant: AgentState.objects.filter(tenant=tenant).update(**columns)


def drop_everything(tenant: str) -> None:
    AgentState.objects.filter(tenant=tenant).delete()
    CurrentAgent.objects.filter(tenant=tenant).delete()


IMPOSTOR = '{"agent_id": "aaa", "name": "Impostor"}'
DAMAGES: dict[str, Callable[[str], object]] = {
    "all is there": lambda tenant: None,
    "every other state dropped": drop_every_other,
    "all states dropped": lambda tenant: AgentState.objects.filter(tenant=tenant).delete(),
    "current rows dropped": lambda tenant: CurrentAgent.objects.filter(tenant=tenant).delete(),
    "nothing left but the log": drop_everything,
    "half by other rules": spoil_half(fold=FOLD + 1, state=IMPOSTOR),
    "all by other rules": spoil_all(fold=FOLD - 1, state=IMPOSTOR),
    "half unreadable": spoil_half(state="{"),
    "all unreadable": spoil_all(state=IMPOSTOR),
    "current rows unreadable": lambda tenant: CurrentAgent.objects.filter(tenant=tenant).update(
        state=""
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_point_of_the_past_is_the_fold_of_the_events_up_to_it(
    acme: str, globex: str, damage: str
) -> None:
    chance = random.Random(damage)
    live(acme, chance)
    create(globex, "aaa")
    past = told(acme)
    head = len(past) - 1
    assert AgentState.objects.filter(tenant=acme).count() >= 6
    DAMAGES[damage](acme)

    for seq in {0, 1, head - 1, head, *chance.sample(range(head), 12)}:
        assert [standing(each) for each in whole(acme, seq)] == expected(past[seq])
        living = [each for each in expected(past[seq]) if each[0].intent != Intent.TERMINATED]
        assert [standing(each) for each in whole(acme, seq, Wanted())] == living
        agent_id = chance.choice(("aaa", "bbb"))
        if agent_id in past[seq]:
            told_so = past[seq][agent_id]
            assert standing(history.agent_at_seq(acme, agent_id, seq)) == told_so
            at_version = history.agent_at(acme, agent_id, Point(version=told_so[1]))
            assert standing(at_version) == told_so
        else:
            with pytest.raises(AgentNotFound):
                history.agent_at_seq(acme, agent_id, seq)


@pytest.fixture
def lived(acme: str) -> str:
    live(acme, random.Random(1), 60)
    return acme


def test_every_sixteenth_version_is_kept_and_rebuilt_rows_equal_it(lived: str) -> None:
    ends = dict(CurrentAgent.objects.filter(tenant=lived).values_list("agent_id", "version"))
    kept = AgentState.objects.filter(tenant=lived).values_list("agent_id", "version")

    assert sorted(kept) == sorted(
        (agent_id, version)
        for agent_id, end in ends.items()
        for version in range(states.EVERY, end + 1, states.EVERY)
    )
    assert list(compare(lived)[1]) == []


def test_filters_and_pages_of_the_past_are_those_of_now(lived: str) -> None:
    past = told(lived)
    for seq in range(1, len(past), 25):
        for wanted in (
            Wanted(statuses=("AVAILABLE", "BUSY")),
            Wanted(healths=("healthy",)),
            Wanted(text="B", intents=fleet.INTENTS),
            Wanted(agent_id="bbb", intents=fleet.INTENTS),
            Wanted(agent_id="nobody"),
        ):
            fitting = [
                each
                for each in expected(past[seq])
                if wanted.fits(each[0]) and wanted.agent_id in (None, each[0].agent_id)
            ]
            for limit in (1, 3, 1000):
                assert [standing(each) for each in whole(lived, seq, wanted, limit)] == fitting


def test_small_windows_and_budgets_change_no_answer(
    lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = told(lived)
    AgentState.objects.filter(tenant=lived, agent_id="aaa").delete()
    for chunk, replayed, rows in ((1, 1, 1), (2, 5, 20), (3, 40, 3)):
        monkeypatch.setattr(fleet, "CHUNK", chunk)
        monkeypatch.setattr(fleet, "REPLAYED", replayed)
        monkeypatch.setattr(read, "CHUNK", rows)
        for seq in (5, len(past) // 2, len(past) - 1):
            assert [standing(each) for each in whole(lived, seq)] == expected(past[seq])


def test_a_moment_is_answered_with_all_that_was_recorded_until_then(lived: str) -> None:
    past = told(lived)
    moments = list(Event.objects.filter(tenant=lived).order_by("seq").values_list("recorded_at"))
    for (moment,) in (moments[0], moments[len(moments) // 2], moments[-1]):
        seq = max(place for place, each in enumerate(moments, 1) if each <= (moment,))
        before = min(place for place, each in enumerate(moments, 1) if each >= (moment,)) - 1
        assert places.seq_at(lived, moment) == seq
        assert places.seq_at(lived, moment - timedelta(microseconds=1)) == before
        assert [standing(each) for each in whole(lived, seq)] == expected(past[seq])
        assert history.agent_at(lived, "aaa", Point(at=moment)) == history.agent_at_seq(
            lived, "aaa", seq
        )


def test_two_events_of_one_moment_stand_together(acme: str, a1: str) -> None:
    bulk(acme, {a1: 3})
    (moment,) = set(
        Event.objects.filter(tenant=acme, version__gt=2).values_list("recorded_at", flat=True)
    ) - set(Event.objects.filter(tenant=acme, version__lte=2).values_list("recorded_at", flat=True))

    assert history.agent_at(acme, a1, Point(at=moment)).version == 6
    assert history.agent_at(acme, a1, Point(at=moment - timedelta(microseconds=1))).version == 3


def test_a_bulk_keeps_every_state_that_it_passes(acme: str, a1: str) -> None:
    create(acme, "a-2")
    bulk(acme, {a1: 100, "a-2": 29})

    kept = AgentState.objects.filter(tenant=acme).order_by("agent_id", "version")
    assert list(kept.values_list("agent_id", "version")) == [
        *((a1, version) for version in range(16, 104, 16)),
        *(("a-2", version) for version in (16, 32)),
    ]
    for row in kept:
        then = Event.objects.get(
            tenant=acme, stream_type="agent", stream_id=row.agent_id, version=row.version
        )
        assert row.seq == then.seq


def test_a_row_that_stands_where_no_version_was_yet_does_no_harm(acme: str, a1: str) -> None:
    AgentState.objects.create(
        tenant_id=acme, agent_id=a1, version=16, seq=3, fold=FOLD + 1, state="{}"
    )
    for number in range(20):
        services.update_agent(tenant=acme, agent_id=a1, metadata={"n": number}, by=ALICE)

    assert list(compare(acme)[1]) == []


@pytest.mark.parametrize(
    ("spoilt", "folded"),
    [((), 8), ((192,), 24), ((192, 176, 160), 56), (range(16, 200, 16), 200)],
    ids=["none", "the nearest", "the nearest three", "all"],
)
def test_of_states_that_cannot_be_read_the_next_older_one_is_taken(
    acme: str, a1: str, spoilt: Sequence[int], folded: int
) -> None:
    bulk(acme, {a1: 200})
    truth = told(acme)[-4][a1]
    AgentState.objects.filter(tenant=acme, version__in=spoilt).update(state="{")

    (stood,) = history.agents_at_seq(acme, [a1], truth[2])

    assert stood.loaded is not None
    assert (standing(stood.loaded), stood.folded) == (truth, folded)


def test_what_the_agent_has_not_reached_and_who_was_never_there_are_not_found(
    acme: str, a1: str, globex: str
) -> None:
    for point in (Point(version=99), Point(version=-1)):
        with pytest.raises(VersionNotReached):
            history.agent_at(acme, a1, point)
    for tenant, agent_id in ((globex, a1), (acme, "nobody")):
        for point in (Point(version=1), Point(seq=2), Point(version=0)):
            with pytest.raises(AgentNotFound):
                history.agent_at(tenant, agent_id, point)
    assert whole(globex, 3) == []
    assert standing(history.agent_at_seq(acme, a1, 10**9)) == standing(
        history.agent_at(acme, a1, Point(version=3))
    )


@pytest.mark.parametrize("told_by", [{}, {"version": 1, "seq": 1}])
def test_a_point_is_told_in_exactly_one_way(told_by: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of version, seq and at"):
        Point(**told_by)


def test_the_past_stands_still_while_commands_run(lived: str) -> None:
    seq = len(told(lived)) - 1
    before = whole(lived, seq)
    failures: list[Exception] = []

    def work() -> None:
        try:
            for number in range(40):
                create(lived, f"a-{number}", active=False)
                services.update_agent(
                    tenant=lived, agent_id="aaa", metadata={"n": number}, by=ALICE
                )
        except Exception as error:  # noqa: BLE001 -- looked at below
            failures.append(error)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        assert whole(lived, seq) == before
    worker.join()

    assert failures == []
    assert whole(lived, seq) == before


def test_a_fleet_of_the_past_costs_a_handful_of_statements_for_each_chunk(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(acme, 120, 20)
    bulk(acme, {f"a-{number:04}": 2 for number in range(0, 120, 2)})
    monkeypatch.setattr(fleet, "CHUNK", 40)
    head = len(told(acme)) - 1

    for seq, most in ((head // 2, 17), (head - 1, 17), (head, 17)):
        with CaptureQueriesContext(connection) as statements:
            assert fleet.page(acme, EVERYBODY, limit=1000, seq=seq).next is None
        assert len(statements) <= most, [each["sql"][:200] for each in statements]


def test_no_statement_looks_through_the_log_or_through_all_states(acme: str) -> None:
    """SQLite tells how it looks; it has no statistics, so it always looks so."""
    crowd(acme, 40, 20)
    bulk(acme, {f"a-{number:04}": 2 for number in range(40)})
    with CaptureQueriesContext(connection) as statements:
        whole(acme, 700)
        history.agent_at(acme, "a-0007", Point(version=17))
    if connection.vendor != "sqlite":
        return

    for statement in statements.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement['sql'].replace('%', '%%')}")
            looks = [str(row[3]) for row in cursor.fetchall() if "USING" in str(row[3])]
        for look in looks:
            assert "stream_" in look or "agent_id=" in look or "rowid=" in look, statement["sql"]
