"""GET /tasks: the tenant's tasks, the newest first."""

from collections.abc import Mapping
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from events.access import Right
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import one_of
from events.api.openapi.shape import MOMENT
from events.api.paging import cursor_of, key_after, listed, whole_in
from events.api.tasks import TASKS, task_json
from events.confidential import reveal
from events.patterns import Pattern
from projections.api.door import ReaderDoor
from projections.tasks import payloads, queries
from projections.tasks.queries import Page, Wanted
from projections.tasks.readmodel import NAME
from projections.tasks.rows import STATUSES


class TaskList(ReaderDoor):
    """What every route that lists tasks has in common. A task is with whom it was assigned to last;
    `since` and `until` say when that was recorded."""

    reads = NAME
    known: ClassVar = {"GET": ("status", "since", "until", "cursor", "limit", "min_seq")}
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "status": one_of(STATUSES, "How they are now."),
        "since": Parameter(MOMENT, "Those that were assigned last at this moment or later."),
        "until": Parameter(MOMENT, "Those that were assigned last before this moment."),
    }

    def page_of(self, agent: Pattern | None) -> HttpResponse:
        """The page that the query asks for, of all agents or of some."""
        wanted = Wanted(
            statuses=self.query.one_of("status", STATUSES),
            agent=agent,
            since=self.query.moment("since"),
            until=self.query.moment("until"),
        )
        limit, key = self.query.limit(), key_after(self.query)
        before = whole_in(key[0]) if key else None
        seq = self.reflected_seq()
        found = Page([], None)
        if self._may_see(agent):
            found = queries.page(self.tenant, wanted, limit=limit, before=before)
        stored = payloads.of(self.tenant, found.tasks)
        items = [task_json(task, **stored[task.task_id]) for task in found.tasks]
        shown = reveal.of_tasks(self.tenant, items, plain=self.principal.may(Right.READ_PAYLOADS))
        return listed(shown, None if found.next is None else cursor_of(str(found.next)), seq)

    def _may_see(self, agent: Pattern | None) -> bool:
        own = self.principal.agent_id
        return own is None or (agent is not None and agent.single == own)


class Tasks(TaskList):
    """GET /tasks"""

    known: ClassVar = {"GET": ("agent", *TaskList.known["GET"])}
    operations: ClassVar = {
        "GET": Operation(
            "list_tasks",
            "tasks",
            "The tenant's tasks",
            "The newest first. A task is with the agent that it was assigned to last.",
            answer=TASKS,
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        agent, own = self.query.pattern("agent"), self.principal.agent_id
        if own is not None and (agent is None or agent.fits(own)):
            agent = Pattern((own,), ())
        return self.page_of(agent)
