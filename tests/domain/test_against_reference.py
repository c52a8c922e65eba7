"""Random orders, well and badly formed, to the aggregate and to a reference model side by side."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.domain import decide
from agents.domain.aggregate import AgentAggregate
from agents.domain.deadlines import due_at, silent_at
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.evolve import fold
from agents.domain.state import Agent
from events import registry
from events.facts import DomainEvent
from events.vocabulary import (
    AgentHealthCheckFailedEvent,
    AgentStatusChangedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
    Capability,
    Usage,
)
from tests.domain.fleet import NOW, names
from tests.domain.reference import ReferenceAgent, Refused

INSTANT = timedelta(microseconds=1)
Orders = Callable[[], list[DomainEvent]]

TASKS = st.sampled_from(["t-1", "t-2", "t-3"])
REASONS = st.sampled_from(["upgrade", "night shift", "größer 😀"])
SKILLS = st.sampled_from(["translate", "write", "count"])
LEVELS = st.integers(1, 5)
BAD_LEVELS = st.sampled_from([0, 6, -1, True, 2.0, "3", None])
BAD_PAYLOADS = st.sampled_from([float("nan"), 2**64, "\0", {1: 2}, (1,), "x" * 70_000])
BAD_RATES = st.sampled_from([-0.1, 1.1, True, float("nan"), None])
BAD_REASONS = st.sampled_from(["", " ", "r" * 1001, "a\0", "\udc00", 7, None])
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)
NUMBERS = st.integers(0, 10**6) | st.floats(0, 1e6)
METRICS = st.fixed_dictionaries(
    {
        "success_rate": st.sampled_from([0, 1, 0.0, 0.25, 1.0]),
        "response_time_ms": NUMBERS,
        "cpu_usage_percent": st.integers(0, 100) | st.floats(0, 100),
        "memory_usage_percent": st.integers(0, 100) | st.floats(0, 100),
    }
)
DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Ada", "Bea"]),
        "description": st.sampled_from(["", "Reads"]),
        "tags": st.lists(st.sampled_from(["eu", "us"]), unique=True),
        "metadata": st.sampled_from([{}, {"rack": 7}, {"rack": [1, {"b": None}]}]),
        "health_check_timeout_seconds": st.sampled_from([5, 60, 90]),
    },
)


class AgentAgainstReference(RuleBasedStateMachine):
    @initialize(
        timeout=st.sampled_from([5, 60, 90]), level=LEVELS, in_service=st.sampled_from([1, 1, 1, 0])
    )
    def create(self, timeout: int, level: int, in_service: int) -> None:
        self.now = NOW
        self.agent = AgentAggregate.create(
            "a-1",
            "acme",
            [Capability("translate", level)],
            name="Ada",
            health_check_timeout_seconds=timeout,
            now=NOW,
        )
        self.reference = ReferenceAgent(NOW, timeout, {"translate": level})
        assert names(self.agent.pending_events) == ["Created"]
        if in_service:
            self.activate()

    # Time

    @rule(seconds=st.sampled_from([0.000001, 1, 4, 5, 10, 60, 90, 180]))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def time_passes(self) -> None:
        self.order("time_passes", lambda: self.agent.let_time_pass(now=self.now))

    @precondition(lambda self: self.reference.deadlines())
    @rule(deadline=st.integers(0, 2), instants=st.sampled_from([-1, 0, 1]))
    def time_passes_around_a_deadline(self, deadline: int, instants: int) -> None:
        deadlines = self.reference.deadlines()
        moment = deadlines[deadline % len(deadlines)] + timedelta(microseconds=instants)
        self.now = max(self.now, moment)
        self.time_passes()

    # Life

    @rule()
    def activate(self) -> None:
        self.order("activate", lambda: self.agent.activate(now=self.now))

    @precondition(lambda self: self.reference.status == "REGISTERED")
    @rule()
    def activate_at_last(self) -> None:
        self.activate()

    @rule(reason=REASONS, seconds=st.none() | st.sampled_from([0.000001, 5, 100]))
    def pause(self, reason: str, seconds: float | None) -> None:
        until = None if seconds is None else self.now + timedelta(seconds=seconds)
        self.order(
            "pause",
            lambda: self.agent.pause(reason, until, now=self.now),
            reason=reason,
            until=until,
        )

    @rule(reason=st.none() | REASONS)
    def resume(self, reason: str | None) -> None:
        self.order("resume", lambda: self.agent.resume(reason, now=self.now), reason=reason)

    # A terminated agent has little left to test, so an idle one is spared two times out of three.
    @rule(reason=REASONS, force=st.booleans(), really=st.sampled_from([False, False, True]))
    def terminate(self, reason: str, force: bool, really: bool) -> None:
        if really or self.reference.row["current_task_id"]:
            self.order(
                "terminate",
                lambda: self.agent.terminate(reason, force and really, now=self.now),
                reason=reason,
                force=force and really,
            )

    @rule(details=DETAILS)
    def update(self, details: dict[str, Any]) -> None:
        self.order("update", lambda: self.agent.update(**details, now=self.now), **details)

    # Tasks

    @rule(task_id=TASKS, payload=JSON_VALUES)
    def assign(self, task_id: str, payload: Any) -> None:
        self.order(
            "assign",
            lambda: self.agent.assign_task(task_id, payload, now=self.now),
            task_id=task_id,
            input=payload,
        )

    @precondition(lambda self: self.reference.status == "AVAILABLE")
    @rule(task_id=TASKS)
    def take_a_task(self, task_id: str) -> None:
        self.assign(task_id, None)

    @rule(task_id=TASKS, result=JSON_VALUES, ms=NUMBERS, tokens=st.none() | st.integers(0, 9))
    def complete_some_task(self, task_id: str, result: Any, ms: float, tokens: int | None) -> None:
        usage = None if tokens is None else Usage(tokens, 2**63 - 1)
        self.order(
            "complete",
            lambda: self.agent.complete_task(task_id, result, ms, usage, self.now),
            task_id=task_id,
        )

    @rule(task_id=TASKS, code=st.sampled_from([None, "E1"]))
    def fail_some_task(self, task_id: str, code: str | None) -> None:
        self.order(
            "fail",
            lambda: self.agent.fail_task(task_id, "broke", code, self.now),
            task_id=task_id,
        )

    @precondition(lambda self: self.reference.row["current_task_id"])
    @rule(well=st.booleans())
    def end_the_current_task(self, well: bool) -> None:
        task_id = self.reference.row["current_task_id"]
        if well:
            self.complete_some_task(task_id, None, 1, None)
        else:
            self.fail_some_task(task_id, None)

    # Health

    @rule(metrics=METRICS)
    def heartbeat(self, metrics: dict[str, Any]) -> None:
        self.order(
            "heartbeat",
            lambda: self.agent.pass_health_check(**metrics, now=self.now),
            **metrics,
        )

    @rule(reason=REASONS)
    def health_failed(self, reason: str) -> None:
        self.order(
            "health_failed",
            lambda: self.agent.fail_health_check(reason, now=self.now),
            reason=reason,
        )

    # Capabilities

    @rule(name=SKILLS, level=LEVELS)
    def add_capability(self, name: str, level: int) -> None:
        self.order(
            "add_capability",
            lambda: self.agent.add_capability(name, level, now=self.now),
            name=name,
            level=level,
        )

    @rule(name=SKILLS, level=LEVELS)
    def upgrade_capability(self, name: str, level: int) -> None:
        self.order(
            "upgrade_capability",
            lambda: self.agent.upgrade_capability(name, level, now=self.now),
            name=name,
            level=level,
        )

    # Values that no agent could take, whatever its state

    @rule(
        reason=BAD_REASONS,
        level=BAD_LEVELS,
        payload=BAD_PAYLOADS,
        metrics=METRICS,
        rate=BAD_RATES,
        seconds=st.sampled_from([0, -1]),
    )
    def bad_values(
        self,
        reason: Any,
        level: Any,
        payload: Any,
        metrics: dict[str, Any],
        rate: Any,
        seconds: int,
    ) -> None:
        agent, now = self.agent, self.now
        metrics = metrics | {"success_rate": rate}
        until = now + timedelta(seconds=seconds)
        task_id = self.reference.row["current_task_id"] or "t-1"
        for field, give in [
            ("reason", lambda: agent.pause(reason, now=now)),
            ("reason", lambda: agent.terminate(reason, True, now=now)),
            ("reason", lambda: agent.fail_health_check(reason, now=now)),
            ("proficiency_level", lambda: agent.add_capability("new", level, now=now)),
            ("proficiency_level", lambda: agent.upgrade_capability("write", level, now=now)),
            ("input", lambda: agent.assign_task("t-1", payload, now=now)),
            ("result", lambda: agent.complete_task(task_id, payload, 1, now=now)),
            ("until", lambda: agent.pause("upgrade", until, now=now)),
            ("success_rate", lambda: agent.pass_health_check(**metrics, now=now)),
        ]:
            error = self.left_nothing(give, InvalidCommand)
            assert isinstance(error, InvalidCommand)
            assert error.field == field

    # What must hold

    @invariant()
    def state_equals_reference(self) -> None:
        row = msgspec.structs.asdict(self.agent.state)
        levels = {c.name: c.proficiency_level for c in row.pop("capabilities")}

        assert list(levels.items()) == list(self.reference.levels.items())
        assert row == self.reference.row
        assert self.agent.state.status == self.reference.status

    @invariant()
    def replay_equals_live(self) -> None:
        assert fold(self.agent.pending_events) == self.agent.state

    @invariant()
    def state_survives_its_json_form(self) -> None:
        stored = msgspec.json.encode(self.agent.state)

        assert msgspec.json.decode(stored, type=Agent) == self.agent.state

    @invariant()
    def due_at_is_the_first_moment_of_a_demand(self) -> None:
        agent = self.agent.state
        due = due_at(agent)

        if due is None:
            assert decide.time_passes(agent, now=NOW + timedelta(days=10_000)) == []
        else:
            assert decide.time_passes(agent, now=due - INSTANT) == []
            assert decide.time_passes(agent, now=due) != []

    @invariant()
    def silent_at_is_the_first_moment_of_too_long_a_silence(self) -> None:
        agent, silent = self.agent.state, silent_at(self.agent.state)

        assert (silent is None) == (self.reference.deadlines() == [])
        if silent is not None:
            *_, exceeded, _ = self.reference.deadlines()
            assert silent == exceeded + INSTANT
            assert (agent.health == "unhealthy") or due_at(agent) <= silent  # type: ignore[operator]

    def teardown(self) -> None:
        if not hasattr(self, "agent"):
            return
        read = [
            registry.decoder(event.type, event.version)(msgspec.json.encode(event))
            for event in self.agent.pending_events
        ]
        assert read == list(self.agent.pending_events)
        assert AgentAggregate.rebuild(self.agent.pending_events).state == self.agent.state

    def order(self, order: str, give: Orders, **values: Any) -> None:
        """Gives the order to both, and compares what became of it."""
        before, pending = self.agent.state, self.agent.pending_events
        current, seen = self.reference.row["current_task_id"], self.reference.row["last_seen"]
        try:
            expected = self.reference.expect(order, self.now, **values)
        except Refused as refused:
            self.refused(str(refused), current, give)
            return
        facts = give()

        assert names(facts) == expected
        assert self.agent.pending_events == (*pending, *facts)
        self.facts_are_truthful(facts, before, current, seen)

    def facts_are_truthful(
        self, facts: list[DomainEvent], before: Agent, current: str | None, seen: Any
    ) -> None:
        after = self.agent.state
        changes = [fact for fact in facts if isinstance(fact, AgentStatusChangedEvent)]
        assert (before.status != after.status) == bool(changes)
        assert changes in ([], facts[-1:])
        for change in changes:
            assert (change.from_status, change.to_status) == (before.status, after.status)
        for fact in facts:
            assert (fact.agent_id, fact.occurred_at) == ("a-1", self.now)
            moments = [field for field in fact.__struct_fields__ if field.endswith("ed_at")]
            assert {getattr(fact, field) for field in moments} == {self.now}
            if isinstance(fact, AgentTaskFailedEvent):
                assert fact.task_id == current
            elif isinstance(fact, AgentHealthCheckFailedEvent):
                assert fact.last_seen == seen
                assert fact.timeout_seconds == before.health_check_timeout_seconds
            elif isinstance(fact, AgentTerminatedEvent):
                assert fact.tasks_completed == after.tasks_completed
                assert fact.tasks_failed == after.tasks_failed

    def refused(self, rule: str, current_task_id: str | None, give: Orders) -> None:
        error = self.left_nothing(give, RuleViolated)
        assert isinstance(error, RuleViolated)
        assert error.rule == rule
        if rule in ("task_not_current", "agent_not_available", "agent_busy"):
            assert error.current_task_id == current_task_id
        if rule in ("task_not_current", "agent_busy") and current_task_id:
            assert current_task_id in str(error)

    def left_nothing(self, give: Orders, expected: type[Exception]) -> Exception:
        state, pending = self.agent.state, self.agent.pending_events
        try:
            facts = give()
        except expected as error:
            assert self.agent.state is state
            assert self.agent.pending_events == pending
            return error
        raise AssertionError(f"This had to be refused by {expected.__name__}, but: {facts}")


TestAgentAgainstReference = AgentAgainstReference.TestCase
# Other lives in every run, so that runs add up; these take some 5 s of a processor.
TestAgentAgainstReference.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None
)
