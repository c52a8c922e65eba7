"""Every command on one agent as a route; each calls one service and answers with the agent."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents import command, services, tasks
from agents.api import orders, shapes
from agents.api.door import CommandDoor, PostDoor, is_key
from agents.api.representation import agent_json, task_json
from agents.command import Outcome
from agents.domain.state import Agent
from events.access import Right
from events.api.openapi.operation import Operation, Parameter
from events.api.problem import not_found
from events.api.tasks import TASK
from events.facts import DomainEvent
from events.idempotency import Answer
from events.vocabulary import Usage


def agent_answer(agent: Agent, version: int, facts: Sequence[DomainEvent]) -> Answer:
    return Answer(HTTPStatus.OK, agent_json(agent, version, None), version=version)


class AgentCommand(PostDoor):
    """Answers with the agent as the command left it."""

    @property
    def render(self) -> command.Render:
        return agent_answer


class Activate(AgentCommand):
    rights: ClassVar = {"POST": Right.WORK}
    operations: ClassVar = {
        "POST": shapes.command("activate_agent", "Activate an agent", "Only a registered one.")
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.activate_agent(agent_id=self.agent_id, **fields, **asked)


class Pause(AgentCommand):
    orders: ClassVar = {"POST": orders.Pause}
    operations: ClassVar = {
        "POST": shapes.command(
            "pause_agent",
            "Pause an agent",
            "It keeps the task that it has and takes no other. With `until` it resumes by itself.",
        )
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.pause_agent(agent_id=self.agent_id, **fields, **asked)


class Resume(AgentCommand):
    orders: ClassVar = {"POST": orders.Resume}
    operations: ClassVar = {"POST": shapes.command("resume_agent", "Resume a paused agent")}

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.resume_agent(agent_id=self.agent_id, **fields, **asked)


class Terminate(AgentCommand):
    orders: ClassVar = {"POST": orders.Terminate}
    operations: ClassVar = {
        "POST": shapes.command(
            "terminate_agent",
            "Terminate an agent, once and for all",
            "One that has a task only with `force`, which fails the task.",
        )
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.terminate_agent(agent_id=self.agent_id, **fields, **asked)


class Heartbeat(AgentCommand):
    rights: ClassVar = {"POST": Right.WORK}
    orders: ClassVar = {"POST": orders.Heartbeat}
    operations: ClassVar = {
        "POST": shapes.command("record_heartbeat", "The agent lives, and how it is")
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.record_heartbeat(agent_id=self.agent_id, **fields, **asked)


class HealthFailures(AgentCommand):
    orders: ClassVar = {"POST": orders.HealthFailure}
    operations: ClassVar = {
        "POST": shapes.command(
            "record_health_failure",
            "The agent does not answer, says a person or a monitor",
            "One outage is recorded once.",
        )
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.record_health_failure(agent_id=self.agent_id, **fields, **asked)


class Capabilities(AgentCommand):
    orders: ClassVar = {"POST": orders.CapabilityOrder}
    operations: ClassVar = {"POST": shapes.command("add_capability", "Add a capability")}

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.add_capability(agent_id=self.agent_id, **fields, **asked)


class Capability(CommandDoor):
    """PATCH: the one command that is not a POST, since it changes what the path names."""

    rights: ClassVar = {"PATCH": Right.OPERATE}
    orders: ClassVar = {"PATCH": orders.UpgradeCapability}
    parameters: ClassVar = {
        **shapes.PARAMETERS,
        "name": Parameter(shapes.KEY, "The capability's name."),
    }
    operations: ClassVar = {
        "PATCH": shapes.command(
            "upgrade_capability", "Raise the level of a capability", "It never falls."
        )
    }

    @property
    def render(self) -> command.Render:
        return agent_answer

    def admit(self, request: Request) -> None:
        super().admit(request)
        if not is_key(self.kwargs["name"]):
            raise not_found()

    def patch(self, request: Request, **_: str) -> HttpResponse:
        return self.perform(request)

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.upgrade_capability(
            agent_id=self.agent_id, name=self.kwargs["name"], **fields, **asked
        )


class AssignTask(PostDoor):
    """201 Task."""

    orders: ClassVar = {"POST": orders.AssignTask}
    operations: ClassVar = {
        "POST": Operation(
            "assign_task",
            "tasks",
            "Assign a task to this agent",
            "The agent has to be available. One agent at a time has a task; a completed one is "
            "never assigned again.",
            answer=TASK,
            status=HTTPStatus.CREATED,
        )
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.assign_task(agent_id=self.agent_id, **fields, **asked)

    @property
    def render(self) -> command.Render:
        def assigned(agent: Agent, version: int, facts: Sequence[DomainEvent]) -> Answer:
            task = tasks.after(self.claims, facts)
            location = f"/api/v1/tenants/{self.tenant}/tasks/{task.task_id}"
            return Answer(HTTPStatus.CREATED, task_json(task), location)

        return assigned


class TaskCommand(PostDoor):
    """The end of a task; answers with the task."""

    rights: ClassVar = {"POST": Right.WORK}

    def admit(self, request: Request) -> None:
        super().admit(request)
        if not is_key(self.kwargs["task_id"]):
            raise not_found()

    @property
    def render(self) -> command.Render:
        def ended(agent: Agent, version: int, facts: Sequence[DomainEvent]) -> Answer:
            return Answer(HTTPStatus.OK, task_json(tasks.after(self.claims, facts)))

        return ended


class CompleteTask(TaskCommand):
    orders: ClassVar = {"POST": orders.CompleteTask}
    operations: ClassVar = {
        "POST": Operation(
            "complete_task",
            "tasks",
            "Complete the agent's task",
            "Its current one; the refusal of another names that.",
            answer=TASK,
        )
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        usage = fields.pop("usage", None)
        return services.complete_task(
            agent_id=self.agent_id,
            task_id=self.kwargs["task_id"],
            usage=Usage(**usage) if usage else None,
            **fields,
            **asked,
        )


class FailTask(TaskCommand):
    orders: ClassVar = {"POST": orders.FailTask}
    operations: ClassVar = {
        "POST": Operation(
            "fail_task",
            "tasks",
            "Fail the agent's task",
            "It may be assigned again, as a new attempt.",
            answer=TASK,
        )
    }

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.fail_task(
            agent_id=self.agent_id, task_id=self.kwargs["task_id"], **fields, **asked
        )
