"""POST /tasks/{task_id}/erase and /agents/{id}/erase: for the tenant's admins."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents import erasure, tasks
from agents.api import orders, shapes
from agents.api.door import AgentDoor, AgentsDoor, is_key
from events.access import Right
from events.api.members import told
from events.api.openapi.operation import Operation, Parameter
from events.api.problem import not_found
from events.confidential.erase import Erasure
from events.idempotency import Answer, Receipt


class ErasureDoor(AgentsDoor):
    """Answers with how many keys were destroyed: 0 when all were before."""

    rights: ClassVar = {"POST": Right.ADMINISTER}
    orders: ClassVar = {"POST": orders.Erase}
    parameters: ClassVar[Mapping[str, Parameter]] = shapes.PARAMETERS

    def post(self, request: Request, **_: str) -> HttpResponse:
        fields, once = self.order(request), self.once(request)
        by = self.context(fields["reason"])

        def execute() -> HttpResponse:
            receipt = Receipt(_erased, once)
            self.erase(tenant=self.tenant, by=by, receipt=receipt, **fields)
            return self.respond(told(receipt))

        return self.answer_once(once, execute)

    def erase(self, **asked: Any) -> Erasure:
        """Call the service."""
        raise NotImplementedError


class EraseAgent(ErasureDoor, AgentDoor):
    operations: ClassVar = {
        "POST": Operation(
            "erase_agent",
            "tasks",
            "Erase the confidential payloads of all the agent's tasks",
            answer=shapes.ERASURE,
            refuses=("rule_violated",),
        )
    }

    def erase(self, **asked: Any) -> Erasure:
        return erasure.erase_agent(agent_id=self.agent_id, **asked)


class EraseTask(ErasureDoor):
    operations: ClassVar = {
        "POST": Operation(
            "erase_task",
            "tasks",
            "Erase the confidential payloads of a task",
            "Their keys are destroyed, so that nobody reads them again; the log stays as it is.",
            answer=shapes.ERASURE,
            refuses=("rule_violated",),
        )
    }

    def admit(self, request: Request) -> None:
        super().admit(request)
        if not is_key(self.kwargs["task_id"]):
            raise not_found()

    def object_exists(self) -> bool:
        holder = tasks.holder(self.tenant, self.kwargs["task_id"])
        return holder is not None and self.principal.sees_agent(holder)

    def erase(self, **asked: Any) -> Erasure:
        return erasure.erase_task(task_id=self.kwargs["task_id"], **asked)


def _erased(done: Erasure) -> Answer:
    body = {
        "agent_id": done.agent_id,
        "task_id": done.task_id,
        "erased": done.erased,
        "seq": None,  # of the fact, known once it is written; of the head when there was none
    }
    return Answer(HTTPStatus.OK, body)
