"""The items of a bulk: each the order of a route that takes one command, under a name.

Pointers of an item's refusals begin at the item: /command, /if_version, /body/name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import msgspec

from agents import services
from agents.api import commands, orders, shapes
from agents.api.agents import Agents, OneAgent
from agents.api.door import IF_MATCH, AgentsDoor
from events.access import Right
from events.api.fields import Nothing, Object, Order, Text, Whole, checked
from events.api.once import KEY_FORM, WritingDoor, is_key
from events.api.openapi.orders import shape_of
from events.api.openapi.problems import PROBLEM
from events.api.openapi.shape import (
    LOG_SEQ,
    OBJECT,
    TRUTH,
    Shape,
    choice,
    some_of,
    text,
    thing,
    whole,
)
from events.api.problem import Problem, invalid, invalid_field
from events.api.tasks import TASK
from events.idempotency import Once

MOST_ITEMS = 1_000
CREATE = "create"
SHOWN = 40  # characters of a name that is none


@dataclass(frozen=True, slots=True)
class Kind:
    """A command, by the door that takes it alone. in_path: what its path names there, and its
    body here; order: what its body is here, where that differs."""

    door: type[AgentsDoor]
    verb: str = "POST"
    in_path: str | None = None
    named_order: type[Order] | None = None

    @property
    def right(self) -> Right:
        return self.door.rights[self.verb]

    @property
    def order(self) -> type[Order]:
        return self.named_order or self.door.orders.get(self.verb, Nothing)


KINDS: Mapping[str, Kind] = {
    CREATE: Kind(Agents),
    "update": Kind(OneAgent, "PATCH"),
    "activate": Kind(commands.Activate),
    "pause": Kind(commands.Pause),
    "resume": Kind(commands.Resume),
    "terminate": Kind(commands.Terminate),
    "add_capability": Kind(commands.Capabilities),
    "upgrade_capability": Kind(commands.Capability, "PATCH", "name", orders.UpgradeNamedCapability),
    "heartbeat": Kind(commands.Heartbeat),
    "health_failed": Kind(commands.HealthFailures),
    "assign": Kind(commands.AssignTask),
    "complete": Kind(
        commands.CompleteTask, in_path="task_id", named_order=orders.CompleteNamedTask
    ),
    "fail": Kind(commands.FailTask, in_path="task_id", named_order=orders.FailNamedTask),
}


class ItemOrder(Order):
    """One command. Its body is that of the command's own route, and names what stands in the path
    there: `name` for upgrade_capability, `task_id` for complete and fail."""

    command = Text(shape=choice(KINDS))
    agent_id = Text(shape=shapes.AGENT_ID.saying("Only create can do without."), required=False)
    if_version = Whole(
        shape=whole().saying("Refused unless the agent is at it, as by `If-Match`."),
        required=False,
        allow_null=True,
    )
    idempotency_key = Text(
        shape=text(most=255, least=1, pattern=r"^[\x20-\x7e]{1,255}$").saying(
            "The same item again gets its first answer. It is the principal's in all bulks."
        ),
        required=False,
        allow_null=True,
    )
    body = Object(shape=OBJECT.saying("Left out, it is empty."), required=False)


BODY = some_of(shape_of(ItemOrder), least=1, most=MOST_ITEMS)
ANSWER = some_of(
    thing(
        "Outcome",
        {
            "status": whole(200, 599).saying("What its own route would have answered."),
            "seq": LOG_SEQ.saying("Of the last event of the command."),
            "body": Shape({"anyOf": [shapes.AGENT, TASK]}),
            "error": PROBLEM,
            "replayed": TRUTH.saying("It is the first answer, given again."),
        },
        optional=("seq", "body", "error", "replayed"),
        description="What became of an item. A body is left out once those before have 8 MiB.",
    )
)


@dataclass(frozen=True, slots=True)
class Item:
    """One well-formed item. fault: what is wrong with its body, which is only said where the agent
    is there; fields: the body's, where nothing is."""

    command: str
    agent_id: str
    if_version: int | None
    once: Once | None
    body: Mapping[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    fault: Problem | None = None

    @property
    def kind(self) -> Kind:
        return KINDS[self.command]


def read(data: Any, door: WritingDoor) -> list[Item | Problem]:
    """The items, and of those that are none why. Raises Problem (400) for what is no bulk."""
    if not isinstance(data, list):
        raise invalid("The body must be a JSON array.", {"pointer": "", "detail": "an array."})
    if not 1 <= len(data) <= MOST_ITEMS:
        detail = f"must have 1 to {MOST_ITEMS} items; it has {len(data)}."
        raise invalid(f"The body {detail}", {"pointer": "", "detail": detail})
    return [_item(each, door) for each in data]


def _item(data: Any, door: WritingDoor) -> Item | Problem:
    try:
        if not isinstance(data, dict):
            raise invalid("An item is a JSON object.", {"pointer": "", "detail": "an object."})
        given = checked(ItemOrder, data)
        _refuse_impossible(given)
        body = given.get("body", {})
        item = Item(
            given["command"],
            _agent_id(given, body, door),
            given.get("if_version"),
            _once(given, body, door),
            body,
        )
    except Problem as problem:
        return problem
    return _with_fields(item, named="agent_id" in given)


def _refuse_impossible(given: dict[str, Any]) -> None:
    command, key = given["command"], given.get("idempotency_key")
    if command not in KINDS:
        raise invalid_field(
            "command", f"is none: {command[:SHOWN]!a}. There are {', '.join(KINDS)}."
        )
    if command == CREATE and given.get("if_version") is not None:
        raise invalid_field("if_version", "must not be given: a new agent has none.")
    if command != CREATE and "agent_id" not in given:
        raise invalid_field("agent_id", "is missing.")
    if key is not None and not is_key(key):
        raise invalid_field("idempotency_key", KEY_FORM)


def _agent_id(given: dict[str, Any], body: dict[str, Any], door: WritingDoor) -> str:
    """Whom it concerns. Whoever creates an agent may name it in the item, in the body as alone, or
    leave it to us; here, so that it is the same however often the bulk is decided."""
    if given["command"] != CREATE:
        return str(given["agent_id"])
    inner = body.get("agent_id")
    if "agent_id" in given:
        if inner is not None and inner != given["agent_id"]:
            raise invalid_field("body/agent_id", "must be the item's agent_id, or be left out.")
        return str(given["agent_id"])
    if isinstance(inner, str):
        return inner
    return door.principal.agent_id or services.new_agent_id()


def _once(given: dict[str, Any], body: dict[str, Any], door: WritingDoor) -> Once | None:
    """An item's key is one principal's in all the tenant's bulks, apart from requests' keys."""
    key = given.get("idempotency_key")
    if key is None:
        return None
    asked = {"command": given["command"], "agent_id": given.get("agent_id"), "body": body}
    raw = msgspec.json.encode(asked, order="deterministic")
    path = f"/api/v1/tenants/{door.tenant}/commands"
    return door.once_of(key, method="item", path=path, body=raw)


def _with_fields(item: Item, *, named: bool) -> Item:
    """The item with its body's fields, or with what is wrong with them."""
    body = dict(item.body)
    if item.command == CREATE and (named or "agent_id" not in body):
        body["agent_id"] = item.agent_id
    try:
        fields = checked(item.kind.order, body)
    except Problem as fault:
        return replace(item, fault=fault)
    return replace(item, fields=fields)


class ItemProblem(Problem):
    """A refusal that points into the item already."""


def key_reused() -> Problem:
    detail = "was used with another command, agent or body."
    return ItemProblem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "key_reused",
        f"The idempotency key {detail} Send a new key with a new item.",
        errors=({"pointer": "/idempotency_key", "detail": detail},),
    )


def in_item(problem: Problem, item: Item) -> Problem:
    """A refusal of the single command's, pointing at where the item holds what is wrong."""
    if isinstance(problem, ItemProblem):
        return problem
    errors = [_pointed(error) for error in problem.errors]
    if item.command == CREATE and "agent_id" not in item.body:
        errors = [
            {**error, "pointer": "/agent_id"} if error.get("pointer") == "/body/agent_id" else error
            for error in errors
        ]
    return Problem(
        problem.status,
        problem.code,
        problem.detail,
        errors=errors,
        rule=problem.rule,
        current_task_id=problem.current_task_id,
    )


def _pointed(error: Mapping[str, str]) -> Mapping[str, str]:
    if error.get("header") == IF_MATCH:
        return {"pointer": "/if_version", "detail": error["detail"]}
    if "pointer" in error:
        return {**error, "pointer": f"/body{error['pointer']}"}
    return error
