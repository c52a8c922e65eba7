"""POST /tasks: a task finds its agent."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents import services, tasks
from agents.api import orders, shapes
from agents.api.door import DOMAIN_REFUSALS, AgentsDoor, overtaken
from agents.api.representation import task_json
from agents.claims import Book
from agents.domain import routing
from agents.domain.routing import Match, Preference, Requirement
from agents.domain.state import Agent
from agents.routing import NoAgent, Reason, TooManyOthers
from events.access import Right
from events.api.openapi.operation import Operation
from events.api.openapi.shape import COUNT, TRUTH, thing
from events.api.problem import Problem
from events.api.refusals import REFUSALS
from events.api.tasks import TASK
from events.facts import DomainEvent
from events.idempotency import Answer

DIGITS = 6  # of a score and its factors, as they are told

_FACTOR = {"value": shapes.RATIO, "weight": shapes.RATIO}
_FACTORS = {
    "capability": thing(None, _FACTOR).saying("The mean level in what is required, over 5."),
    "success": thing(None, _FACTOR).saying("(completed + 4) / (completed + failed + 5)."),
    "idle": thing(None, {**_FACTOR, "seconds": COUNT}).saying("seconds / (seconds + 600)."),
}
ROUTED_TASK = thing(
    "RoutedTask",
    {
        **TASK.schema["properties"],
        "score": shapes.RATIO.saying("The sum of the factors' values by their weights."),
        "factors": thing("RoutingFactors", _FACTORS),
        "preferred": TRUTH.saying("Whether the agent is one of the preferred, where there are."),
    },
    optional=("preferred",),
)


def _no_agent(error: NoAgent) -> Problem:
    places = (
        {"pointer": f"/required_capabilities/{each.requirement}", "detail": each.detail}
        for each in error.reasons
        if each.requirement is not None
    )
    return Problem(
        HTTPStatus.CONFLICT,
        "no_agent",
        f"{error} {error.advice}",
        reasons=[_reason_json(each) for each in error.reasons],
        errors=tuple(places),
    )


def _reason_json(reason: Reason) -> dict[str, Any]:
    found: dict[str, Any] = {"code": reason.code, "detail": reason.detail, "agents": reason.agents}
    if reason.skilled is not None:
        found |= {
            "capability": reason.skilled.requirement.name,
            "min_level": reason.skilled.requirement.min_level,
            "best_level": reason.skilled.best_level or None,
        }
    return found


class RouteTask(AgentsDoor):
    """201 Task, with the score that decided and what it is made of."""

    rights: ClassVar = {"POST": Right.OPERATE}
    orders: ClassVar = {"POST": orders.RouteTask}
    operations: ClassVar = {
        "POST": Operation(
            "route_task",
            "tasks",
            "Give a task to the best available agent",
            "Of those that have all required capabilities it takes the one with the highest score. "
            "Nothing is queued: where none can take it now, the refusal says why.",
            answer=ROUTED_TASK,
            status=HTTPStatus.CREATED,
            refuses=("rule_violated", "no_agent"),
        )
    }
    refusals: ClassVar = (
        (NoAgent, _no_agent),
        (TooManyOthers, overtaken),
        *DOMAIN_REFUSALS,
        *REFUSALS,
    )

    def post(self, request: Request, **_: str) -> HttpResponse:
        fields = self.order(request)
        once = self.once(request)
        required = [Requirement(**each) for each in fields["required_capabilities"]]
        prefer = _preference(fields.get("prefer") or {})
        by = self.context()

        def rendered(agent: Agent, match: Match, facts: Sequence[DomainEvent]) -> Answer:
            task = tasks.after(Book(self.tenant), facts)
            body = task_json(task) | _score_json(match)
            if prefer:
                body["preferred"] = prefer.fits(agent)
            location = f"/api/v1/tenants/{self.tenant}/tasks/{task.task_id}"
            return Answer(HTTPStatus.CREATED, body, location)

        def execute() -> HttpResponse:
            return self.answer(
                services.route_task(
                    tenant=self.tenant,
                    task_id=fields["task_id"],
                    required=required,
                    prefer=prefer,
                    input=fields.get("input"),
                    by=by,
                    render=rendered,
                    once=once,
                )
            )

        return self.answer_once(once, execute)


def _preference(fields: dict[str, Any]) -> Preference:
    return Preference(fields.get("agent_id"), tuple(fields.get("tags", ())))


def _score_json(match: Match) -> dict[str, Any]:
    def factor(value: float, weight: float) -> dict[str, Any]:
        return {"value": round(value, DIGITS), "weight": weight}

    return {
        "score": round(match.score, DIGITS),
        "factors": {
            "capability": factor(match.capability, routing.CAPABILITY_WEIGHT),
            "success": factor(match.success, routing.SUCCESS_WEIGHT),
            "idle": factor(match.idle, routing.IDLE_WEIGHT) | {"seconds": match.idle_seconds},
        },
    }
