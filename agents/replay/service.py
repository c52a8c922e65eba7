"""A replay's orders, given to the services of this process."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agents import services
from agents.command import AlreadyExists, Outcome, RaceLost
from agents.current import AgentNotFound, load
from agents.domain.errors import RuleViolated
from agents.replay.fleet import Member, Standing, vitals
from agents.replay.pace import Pace, Tally
from agents.replay.simulation import Task
from events.log.proposal import Context

INTERRUPTED = "REPLAY_INTERRUPTED"


class ServiceOrders:
    """Carries orders out in a tenant. `by`: who acts; each task is a correlation of its own."""

    def __init__(self, tenant: str, by: Context, pace: Pace, tally: Tally) -> None:
        self.tenant = tenant
        self.by = by
        self.tally = tally
        self.pace = pace

    def wait_until(self, seconds: float) -> None:
        self.pace.wait_until(seconds)

    def find(self, agent_id: str) -> Standing | None:
        try:
            agent = load(self.tenant, agent_id).agent
        except AgentNotFound:
            return None
        return Standing(agent.status.value, agent.current_task_id)

    def create(self, member: Member) -> bool:
        return self._order(
            services.create_agent,
            member.agent_id,
            name=member.name,
            description=member.kind.description,
            agent_type=member.kind.agent_type,
            capabilities=member.kind.capabilities,
            tags=member.tags,
        )

    def activate(self, agent_id: str) -> bool:
        return self._order(services.activate_agent, agent_id)

    def heartbeat(self, agent_id: str, load: float) -> bool:
        return self._order(services.record_heartbeat, agent_id, **vitals(agent_id, load))

    def assign(self, agent_id: str, task: Task) -> bool:
        return self._order(
            services.assign_task,
            agent_id,
            task.task_id,
            task_id=task.task_id,
            input=task.input,
        )

    def finish(self, agent_id: str, task: Task) -> bool:
        if task.failure is not None:
            taken = self._fail(agent_id, task, task.failure.code, task.failure.message)
        else:
            taken = self._order(
                services.complete_task,
                agent_id,
                task.task_id,
                task_id=task.task_id,
                execution_time_ms=task.takes_ms,
                usage=task.usage,
            )
        self.tally.end(failed=task.failure is not None, taken=taken)
        return taken

    def give_up(self, agent_id: str, task: Task) -> bool:
        return self._fail(agent_id, task, INTERRUPTED, "The replay was interrupted.")

    def _fail(self, agent_id: str, task: Task, code: str, message: str) -> bool:
        return self._order(
            services.fail_task,
            agent_id,
            task.task_id,
            task_id=task.task_id,
            error_code=code,
            error_message=message,
        )

    def _order(
        self,
        service: Callable[..., Outcome],
        agent_id: str,
        correlation_id: str | None = None,
        **values: Any,
    ) -> bool:
        by = replace(self.by, correlation_id=correlation_id) if correlation_id else self.by
        try:
            outcome = service(tenant=self.tenant, agent_id=agent_id, by=by, **values)
        except (RuleViolated, AlreadyExists, AgentNotFound, RaceLost):
            return False
        self.tally.events += len(outcome.facts)
        return True
