"""GET and POST /agents, GET and PATCH /agents/{id}, and one agent's events."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents import command, current, fleet, history, services, tasks
from agents.api import orders, shapes
from agents.api.commands import agent_answer
from agents.api.door import AgentDoor, AgentsDoor, CommandDoor, as_it_stood, is_key
from agents.api.representation import agent_json, task_json
from agents.command import Outcome
from agents.current import AgentNotFound, Loaded
from agents.domain.state import Agent
from agents.history import Point
from events.access import Principal, Right
from events.api.door import TenantDoor
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import PATTERN, one_of, pattern
from events.api.openapi.shape import some_of, whole
from events.api.paging import cursor_of, key_after, listed
from events.api.problem import invalid, invalid_parameter, not_found
from events.api.query import MOST_PARAMETERS
from events.api.tasks import TASK
from events.api.timeline import EVENTS, FILTERS, PAGING, EventsDoor, filtered
from events.facts import DomainEvent
from events.idempotency import Answer
from events.log.places import seq_at
from events.patterns import Pattern
from events.vocabulary import Capability

AS_OF = ("seq", "at")


class Agents(AgentsDoor):
    """GET and POST /agents"""

    rights: ClassVar = {"GET": Right.READ, "POST": Right.WORK}
    known: ClassVar = {
        "GET": (
            *("status", "intent", "health", "capability", "tag", "q"),
            *("cursor", "limit", "min_seq", *AS_OF),
        )
    }
    repeatable: ClassVar = ("tag",)
    orders: ClassVar = {"POST": orders.CreateAgent}
    parameters: ClassVar = {
        "status": one_of(fleet.STATUSES, "Terminated agents are listed only when asked for."),
        "intent": one_of(fleet.INTENTS, "What people want of them."),
        "health": one_of(fleet.HEALTHS, "What was last observed of them."),
        "capability": pattern("Names of a capability."),
        "tag": Parameter(
            some_of(PATTERN, least=1, most=MOST_PARAMETERS // 2),
            "Each must fit one of the agent's tags. In one, commas mean or, a `*` may stand at the "
            "end.",
            repeated=True,
        ),
    }
    operations: ClassVar = {
        "GET": Operation(
            "list_agents",
            "agents",
            "The fleet, now or as it stood",
            "In the order of their ids.",
            answer=shapes.AGENTS,
        ),
        "POST": Operation(
            "create_agent",
            "agents",
            "Create an agent",
            "Without `agent_id` one is made. A token of the role agent creates its own alone.",
            answer=shapes.AGENT,
            status=HTTPStatus.CREATED,
            has_etag=True,
            refuses=("already_exists", "rule_violated"),
        ),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        query = self.query
        wanted = fleet.Wanted(
            statuses=query.one_of("status", fleet.STATUSES),
            intents=query.one_of("intent", fleet.INTENTS),
            healths=query.one_of("health", fleet.HEALTHS),
            capability=query.pattern("capability"),
            tags=query.patterns("tag"),
            text=query.text("q"),
            agent_id=self.principal.agent_id,
        )
        limit, key = query.limit(), key_after(query)
        head = self.head_seq()
        seq = as_of(self, head)
        found = fleet.page(self.tenant, wanted, limit=limit, after=key[0] if key else None, seq=seq)
        items = [agent_json(each.agent, each.version, each.seq) for each in found.agents]
        cursor = None if found.next is None else cursor_of(found.next)
        return listed(items, cursor, head if seq is None else seq)

    def post(self, request: Request, **_: str) -> HttpResponse:
        body = request.data
        if isinstance(body, dict) and (why := refused_creation(self.principal, body)):
            raise self.denied(request, why)
        fields, once = self.order(request), self.once(request)
        asked = command.Request(render=self.render, once=once)
        by = self.context()

        def execute() -> HttpResponse:
            return self.answer(self.run(fields, tenant=self.tenant, by=by, request=asked))

        return self.answer_once(once, execute)

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        """Call the service. An agent that creates itself need not say its name."""
        agent_id = fields.pop("agent_id", self.principal.agent_id)
        capabilities = [Capability(**each) for each in fields.pop("capabilities")]
        return services.create_agent(
            agent_id=agent_id, capabilities=capabilities, **fields, **asked
        )

    @property
    def render(self) -> command.Render:
        return self._created

    def _created(self, agent: Agent, version: int, facts: Sequence[DomainEvent]) -> Answer:
        location = f"/api/v1/tenants/{self.tenant}/agents/{agent.agent_id}"
        body = agent_json(agent, version, None)
        return Answer(HTTPStatus.CREATED, body, location, version=version)


def refused_creation(principal: Principal, body: Mapping[str, Any]) -> str | None:
    """Why whoever asks may not create this agent: an agent creates itself and no other."""
    own = principal.agent_id
    if own is None or body.get("agent_id", own) == own:
        return None
    return f"This token may create the agent {own} alone."


class OneAgent(CommandDoor):
    """GET and PATCH /agents/{id}"""

    rights: ClassVar = {"GET": Right.READ, "PATCH": Right.OPERATE}
    known: ClassVar = {"GET": ("version", "min_seq", *AS_OF)}
    orders: ClassVar = {"PATCH": orders.UpdateAgent}
    parameters: ClassVar = {
        **shapes.PARAMETERS,
        "version": Parameter(whole(1), "As it stood at this version."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "read_agent",
            "agents",
            "One agent, now or as it stood",
            "At most one of `version`, `seq` and `at`.",
            answer=shapes.AGENT,
            has_etag=True,
        ),
        "PATCH": shapes.command("update_agent", "Change an agent's details"),
    }

    def get(self, request: Request, **_: str) -> HttpResponse:
        version = self.query.whole("version", least=1)
        head = self.head_seq()
        seq = as_of(self, head)
        if version is not None and seq is not None:
            raise invalid("Give one of version, seq and at.")
        if version is not None:
            loaded = self._at_version(version)
        elif seq is not None:
            loaded = history.agent_at_seq(self.tenant, self.agent_id, seq)
        else:
            loaded = current.load(self.tenant, self.agent_id)
            seq = head
        body = agent_json(loaded.agent, loaded.version, loaded.seq)
        return as_it_stood(request, body, loaded.version, loaded.seq if seq is None else seq)

    def _at_version(self, version: int) -> Loaded:
        try:
            return history.agent_at(self.tenant, self.agent_id, Point(version=version))
        except AgentNotFound:
            raise invalid_parameter("version", "is one that the agent has not reached.") from None

    def patch(self, request: Request, **_: str) -> HttpResponse:
        return self.perform(request)

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        return services.update_agent(agent_id=self.agent_id, **fields, **asked)

    @property
    def render(self) -> command.Render:
        return agent_answer


class AgentEvents(AgentDoor, EventsDoor):
    """GET /agents/{id}/events"""

    known: ClassVar = {"GET": (*FILTERS, *PAGING)}
    parameters: ClassVar = {**shapes.PARAMETERS, **EventsDoor.parameters}
    operations: ClassVar = {
        "GET": Operation(
            "list_agent_events", "events", "One agent's events, in pages", answer=EVENTS
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        if not self.object_exists():
            raise not_found()
        return self.page_of(filtered(self.query, Pattern((self.agent_id,), ())))


class OneTask(AgentsDoor):
    """GET /tasks/{task_id}"""

    known: ClassVar = {"GET": ("min_seq",)}
    parameters: ClassVar = shapes.PARAMETERS
    operations: ClassVar = {
        "GET": Operation("read_task", "tasks", "One task, with all its attempts", answer=TASK)
    }

    def admit(self, request: Request) -> None:
        super().admit(request)
        if not is_key(self.kwargs["task_id"]):
            raise not_found()

    def object_exists(self) -> bool:
        holder = tasks.holder(self.tenant, self.kwargs["task_id"])
        return holder is not None and self.principal.sees_agent(holder)

    def get(self, _: Request, **__: str) -> HttpResponse:
        head = self.head_seq()
        task = tasks.find(self.tenant, self.kwargs["task_id"])
        if not self.principal.sees_agent(task.agent_id):
            raise not_found()
        return self.respond(Answer(HTTPStatus.OK, task_json(task), seq=head))


def as_of(door: TenantDoor, head: int) -> int | None:
    """The seq that `seq=` or `at=` names; None for now. Raises Problem (400) for the future."""
    seq, at = door.query.whole("seq"), door.query.moment("at")
    if seq is not None and at is not None:
        raise invalid("Give one of seq and at.")
    if seq is not None and seq > head:
        raise invalid_parameter("seq", f"is beyond the head of the log, {head}.")
    if at is None:
        return seq
    if at > datetime.now(UTC):
        raise invalid_parameter("at", "lies in the future.")
    return seq_at(door.tenant, at)
