from collections.abc import Callable
from itertools import pairwise

import pytest

from agents.replay.pace import Pace
from agents.replay.simulation import NobodyLeft, Simulation, Task
from events.vocabulary import Usage


class Diary:
    """Orders that are only written down. `refuse` says whom to refuse a task."""

    def __init__(self, refuse: Callable[[str, float], bool] = lambda _agent, _now: False) -> None:
        self.now = 0.0
        self.refuse = refuse
        self.lines: list[tuple[float, str, str, str]] = []
        self.heartbeats: list[tuple[float, str]] = []

    def wait_until(self, seconds: float) -> None:
        assert seconds >= self.now, "time went back"
        self.now = seconds

    def assign(self, agent_id: str, task: Task) -> bool:
        refused = self.refuse(agent_id, self.now)
        self.lines.append((self.now, agent_id, "refused" if refused else "got", task.task_id))
        return not refused

    def finish(self, agent_id: str, task: Task) -> bool:
        self.lines.append((self.now, agent_id, "ended", task.task_id))
        return True

    def heartbeat(self, agent_id: str, load: float) -> bool:
        assert 0 <= load <= 1
        self.heartbeats.append((self.now, agent_id))
        return True


def arrivals(*pairs: tuple[float, int]) -> list[tuple[float, Task]]:
    return [
        (at, Task(f"t{number}", {}, Usage(1, 1), takes_ms, None))
        for number, (at, takes_ms) in enumerate(pairs, 1)
    ]


def play(
    diary: Diary, agents: list[str], *pairs: tuple[float, int], patience: int | None = 10
) -> list[tuple[float, str, str, str]]:
    Simulation(diary, agents, patience=patience).run(iter(arrivals(*pairs)))
    return diary.lines


def test_a_task_goes_to_the_agent_that_has_been_free_longest() -> None:
    lines = play(Diary(), ["a", "b"], (0, 1000), (0.5, 100), (2, 100), (3, 100))

    assert [line[:2] for line in lines if line[2] == "got"] == [
        (0, "a"),
        (0.5, "b"),
        (2, "b"),
        (3, "a"),
    ]


def test_when_none_is_free_a_task_waits_for_the_first_to_finish_and_keeps_its_turn() -> None:
    lines = play(Diary(), ["a", "b"], (0, 5000), (0, 2000), (1, 100), (1.5, 100))

    assert lines == [
        (0, "a", "got", "t1"),
        (0, "b", "got", "t2"),
        (2, "b", "ended", "t2"),
        (2, "b", "got", "t3"),
        (2.1, "b", "ended", "t3"),
        (2.1, "b", "got", "t4"),
        (2.2, "b", "ended", "t4"),
        (5, "a", "ended", "t1"),
    ]


def test_an_agent_that_finishes_as_a_task_arrives_is_free_for_it() -> None:
    lines = play(Diary(), ["a"], (0, 1000), (1, 1000))

    assert (1, "a", "got", "t2") in lines


def test_a_row_that_is_earlier_than_the_one_before_arrives_with_it() -> None:
    lines = play(Diary(), ["a", "b"], (5, 100), (3, 100))

    assert [line[0] for line in lines if line[2] == "got"] == [5, 5]


def test_every_agent_is_heard_of_in_every_interval() -> None:
    diary = Diary()

    play(diary, ["a", "b", "c"], (0, 100), (300, 100))

    for agent_id in ("a", "b", "c"):
        times = [at for at, who in diary.heartbeats if who == agent_id]
        assert times[0] < 30
        assert times[-1] > 270
        assert {round(b - a, 6) for a, b in pairwise(times)} == {30.0}
    assert len({at for at, _ in diary.heartbeats}) == len(diary.heartbeats)


def test_an_agent_that_refuses_is_left_alone_and_asked_again() -> None:
    lines = play(
        Diary(lambda agent, now: agent == "a" and now < 40), ["a", "b"], (0, 100), (100, 100)
    )

    assert lines[:2] == [(0, "a", "refused", "t1"), (0, "b", "got", "t1")]
    assert (100, "b", "got", "t2") in lines


def test_nobody_is_asked_for_ever() -> None:
    diary = Diary(lambda _agent, _now: True)

    with pytest.raises(NobodyLeft, match="Resume some"):
        play(diary, ["a", "b"], (0, 100), patience=3)

    assert len(diary.lines) == 2 * (1 + 3)


def test_an_agent_that_left_is_given_nothing_more() -> None:
    diary = Diary()
    simulation = Simulation(diary, ["a", "b"])
    simulation.leave("a")

    simulation.run(iter(arrivals((0, 1000), (1, 1000), (70, 10))))

    assert {who for _, who, _, _ in diary.lines} == {"b"}
    assert {who for _, who in diary.heartbeats} == {"b"}


def test_the_same_trace_gives_the_same_orders() -> None:
    pairs = [(number * 0.37, number * 613 % 2_900) for number in range(200)]

    assert play(Diary(), ["a", "b", "c"], *pairs) == play(Diary(), ["a", "b", "c"], *pairs)


def test_a_pace_compresses_the_gaps_and_never_waits_at_full_speed() -> None:
    slept: list[float] = []
    pace = Pace(10.0, sleep=slept.append, clock=lambda: 100.0)

    pace.wait_until(0)
    pace.wait_until(5)
    Pace(None, sleep=slept.append).wait_until(1_000)

    assert slept == [0.5]


@pytest.mark.parametrize("order", ["assign", "finish"])
def test_whoever_interrupts_an_order_finds_its_task_among_those_that_may_be_held(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_agent: str, _task: Task) -> bool:
        raise KeyboardInterrupt

    diary = Diary()
    simulation = Simulation(diary, ["a"])
    monkeypatch.setattr(diary, order, interrupt)

    with pytest.raises(KeyboardInterrupt):
        simulation.run(iter(arrivals((0, 1000))))

    assert [task.task_id for task in simulation.busy.values()] == ["t1"]
