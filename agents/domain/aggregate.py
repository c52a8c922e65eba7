"""AgentAggregate: one agent with its orders as methods, as the decision record speaks of it.

It adds nothing to `decide` and `evolve` but memory: the state, and the facts not yet appended.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

from msgspec import UNSET, UnsetType

from agents.domain import decide
from agents.domain.evolve import fold
from agents.domain.state import Agent
from events.facts import JSON, DomainEvent, Number, utc_now
from events.vocabulary import Capability, Usage


class AgentAggregate:
    """Each method returns the facts it added to `pending_events`, perhaps none.

    It raises InvalidCommand or RuleViolated and then has changed nothing. `now` defaults to the
    present moment and is aware.
    """

    def __init__(self, state: Agent) -> None:
        self._state = state
        self._pending: list[DomainEvent] = []

    @classmethod
    def create(
        cls,
        agent_id: str,
        tenant_id: str,
        capabilities: Sequence[Capability],
        *,
        name: str,
        description: str = "",
        agent_type: str = "",
        tags: Sequence[str] = (),
        metadata: dict[str, JSON] | None = None,
        health_check_timeout_seconds: int = 90,
        now: datetime | None = None,
    ) -> Self:
        """A new agent, whose creation is pending."""
        facts = decide.create(
            agent_id=agent_id,
            tenant_id=tenant_id,
            name=name,
            capabilities=capabilities,
            description=description,
            agent_type=agent_type,
            tags=tags,
            metadata=metadata,
            health_check_timeout_seconds=health_check_timeout_seconds,
            now=now or utc_now(),
        )
        made = cls(fold(facts))
        made._pending.extend(facts)
        return made

    @classmethod
    def rebuild(cls, events: Iterable[DomainEvent]) -> Self:
        """The agent that this history leaves; nothing is pending. Raises AgentNotCreated."""
        return cls(fold(events))

    @property
    def state(self) -> Agent:
        return self._state

    @property
    def pending_events(self) -> tuple[DomainEvent, ...]:
        """What happened here and is not yet in the log, oldest first."""
        return tuple(self._pending)

    def take_pending_events(self) -> list[DomainEvent]:
        """The pending facts, handed over to whoever appends them; none is pending after."""
        taken, self._pending = self._pending, []
        return taken

    def update(
        self,
        *,
        name: str | UnsetType = UNSET,
        description: str | UnsetType = UNSET,
        tags: Sequence[str] | UnsetType = UNSET,
        metadata: dict[str, JSON] | UnsetType = UNSET,
        health_check_timeout_seconds: int | UnsetType = UNSET,
        now: datetime | None = None,
    ) -> list[DomainEvent]:
        return self._happened(
            decide.update(
                self._state,
                name=name,
                description=description,
                tags=tags,
                metadata=metadata,
                health_check_timeout_seconds=health_check_timeout_seconds,
                now=now or utc_now(),
            )
        )

    def activate(self, *, now: datetime | None = None) -> list[DomainEvent]:
        return self._happened(decide.activate(self._state, now=now or utc_now()))

    def assign_task(
        self, task_id: str, input: JSON = None, *, now: datetime | None = None
    ) -> list[DomainEvent]:
        return self._happened(
            decide.assign(self._state, task_id=task_id, input=input, now=now or utc_now())
        )

    def complete_task(
        self,
        task_id: str,
        result: JSON,
        execution_time_ms: Number,
        usage: Usage | None = None,
        now: datetime | None = None,
    ) -> list[DomainEvent]:
        return self._happened(
            decide.complete(
                self._state,
                task_id=task_id,
                result=result,
                execution_time_ms=execution_time_ms,
                usage=usage,
                now=now or utc_now(),
            )
        )

    def fail_task(
        self,
        task_id: str,
        error_message: str,
        error_code: str | None = None,
        now: datetime | None = None,
    ) -> list[DomainEvent]:
        return self._happened(
            decide.fail(
                self._state,
                task_id=task_id,
                error_message=error_message,
                error_code=error_code,
                now=now or utc_now(),
            )
        )

    def pause(
        self, reason: str, until: datetime | None = None, *, now: datetime | None = None
    ) -> list[DomainEvent]:
        return self._happened(
            decide.pause(self._state, reason=reason, until=until, now=now or utc_now())
        )

    def resume(
        self, reason: str | None = None, *, now: datetime | None = None
    ) -> list[DomainEvent]:
        return self._happened(decide.resume(self._state, reason=reason, now=now or utc_now()))

    def pass_health_check(
        self,
        success_rate: Number,
        response_time_ms: Number,
        cpu_usage_percent: Number,
        memory_usage_percent: Number,
        *,
        now: datetime | None = None,
    ) -> list[DomainEvent]:
        return self._happened(
            decide.health_passed(
                self._state,
                success_rate=success_rate,
                response_time_ms=response_time_ms,
                cpu_usage_percent=cpu_usage_percent,
                memory_usage_percent=memory_usage_percent,
                now=now or utc_now(),
            )
        )

    def fail_health_check(self, reason: str, *, now: datetime | None = None) -> list[DomainEvent]:
        return self._happened(
            decide.health_failed(self._state, reason=reason, now=now or utc_now())
        )

    def terminate(
        self, reason: str, force: bool = False, *, now: datetime | None = None
    ) -> list[DomainEvent]:
        return self._happened(
            decide.terminate(self._state, reason=reason, force=force, now=now or utc_now())
        )

    def add_capability(
        self, name: str, proficiency_level: int, *, now: datetime | None = None
    ) -> list[DomainEvent]:
        return self._happened(
            decide.add_capability(
                self._state, name=name, proficiency_level=proficiency_level, now=now or utc_now()
            )
        )

    def upgrade_capability(
        self, name: str, proficiency_level: int, *, now: datetime | None = None
    ) -> list[DomainEvent]:
        return self._happened(
            decide.upgrade_capability(
                self._state, name=name, proficiency_level=proficiency_level, now=now or utc_now()
            )
        )

    def let_time_pass(self, *, now: datetime | None = None) -> list[DomainEvent]:
        return self._happened(decide.time_passes(self._state, now=now or utc_now()))

    def _happened(self, facts: list[DomainEvent]) -> list[DomainEvent]:
        self._state = fold(facts, self._state)
        self._pending.extend(facts)
        return facts
