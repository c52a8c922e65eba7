"""The paths that two rooms share: a command gives a task, a read model lists them."""

from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents.api.commands import AssignTask
from agents.api.routing import RouteTask
from events.access import Right
from events.api.openapi.operation import Operation
from events.api.problem import not_found
from events.api.tasks import TASKS
from events.patterns import Pattern
from projections.api.tasks import TaskList, Tasks


class TenantTasks(RouteTask, Tasks):
    """GET and POST /tasks"""

    rights: ClassVar = {"GET": Right.READ, **RouteTask.rights}
    known: ClassVar = Tasks.known
    parameters: ClassVar = Tasks.parameters
    operations: ClassVar = {**Tasks.operations, **RouteTask.operations}


class AgentTasks(AssignTask, TaskList):
    """GET and POST /agents/{id}/tasks"""

    rights: ClassVar = {"GET": Right.READ, **AssignTask.rights}
    known: ClassVar = TaskList.known
    parameters: ClassVar = {**AssignTask.parameters, **TaskList.parameters}
    operations: ClassVar = {
        "GET": Operation(
            "list_agent_tasks", "tasks", "One agent's tasks, the newest first", answer=TASKS
        ),
        **AssignTask.operations,
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        if not self.object_exists():
            raise not_found()
        return self.page_of(Pattern((self.agent_id,), ()))
