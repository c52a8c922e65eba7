"""POST /commands: up to 1,000 commands of one tenant in one request, recorded by one append.

A refused item is refused alone, with the problem that its own route would have answered; the rest
commit together. See docs/bulk.md.
"""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from rest_framework.request import Request

from agents import bulk, command
from agents.api import items
from agents.api.agents import refused_creation
from agents.api.door import AgentsDoor, is_agent_id, is_key
from agents.api.items import CREATE, Item
from agents.bulk import Bulk, Needs
from agents.command import RaceLost
from events import idempotency
from events.access import Right
from events.api.door import AFTER_THE_OBJECT
from events.api.openapi.operation import Operation
from events.api.problem import Problem, forbidden, not_found
from events.api.strict_json import MAX_BULK_BYTES
from events.idempotency import Answer, KeyReused, Once
from events.log.errors import TenantUnknown
from events.ratelimits.scopes import Scope

MOST_ANSWERED = 8 * 1024 * 1024  # bytes of bodies in one answer; later items go without
Told = dict[str, Any]

# Not one item's fault, so no item is refused for it.
_OURS = (OperationalError, InterfaceError, TenantUnknown)


class Commands(AgentsDoor):
    """POST /commands"""

    rights: ClassVar = {"POST": Right.WORK}
    scopes: ClassVar = {"POST": Scope.BULK}
    most_body_bytes: ClassVar = MAX_BULK_BYTES
    bodies: ClassVar = {"POST": items.BODY}
    operations: ClassVar = {
        "POST": Operation(
            "run_commands",
            "agents",
            "Up to 1,000 commands at once",
            "In order, each on what the accepted ones before it have left. A refused item is "
            "refused alone, also for what its shape does not allow, with the problem of its own "
            "route; its pointers begin at the item. "
            "The rest are recorded together. The body may have 8 MiB.",
            answer=items.ANSWER,
        )
    }

    def post(self, request: Request, **_: str) -> HttpResponse:
        found, once = items.read(request.data, self), self.once(request)
        self.count_items(request, len(found))

        def execute() -> HttpResponse:
            turn = Turn(self, found, once)
            answer = turn.answer()
            if answer.seq is None:  # every item was refused, as the log stands now
                answer = replace(answer, seq=self.head_seq())
            if turn.denied:
                self.denied(request, "")  # for the log alone: the items were told
            return self.respond(answer)

        return self.answer_once(once, execute)


class Turn:
    """One request's items on their way through a bulk, however often it is decided."""

    def __init__(self, door: Commands, found: Sequence[Item | Problem], once: Once | None) -> None:
        self.door = door
        self.items = found
        self.once = once
        self.by = door.context()
        self.denied = False
        self._well_formed = [each for each in found if isinstance(each, Item)]
        self._keys = [each.once for each in self._well_formed if each.once is not None]

    def answer(self) -> Answer:
        """Carry the items out, and say what became of each."""
        try:
            _, appended = bulk.together(self.door.tenant, self._decide, self._needs(), self.once)
        except RaceLost as lost:
            return Answer(HTTPStatus.OK, [self._overtaken(each, lost) for each in self._told])
        return self._answer.at(appended.seq) if appended else self._answer

    def _needs(self) -> Needs:
        tasks = (item.fields.get("task_id") for item in self._well_formed)
        return Needs(
            agent_ids={each.agent_id for each in self._well_formed if is_agent_id(each.agent_id)},
            task_ids={task_id for task_id in tasks if task_id is not None and is_key(task_id)},
            ending={each.agent_id for each in self._well_formed if each.command == "terminate"},
        )

    def _decide(self, bulk: Bulk) -> None:
        """One try. Whatever was told in the one before is forgotten."""
        self.denied = False
        self._told: list[Told] = []
        self._answered: dict[bytes, tuple[Once, Told]] = {}  # by items of this very request
        self._known = idempotency.standing(self.door.tenant, self._keys)
        room = MOST_ANSWERED
        for item in self.items:
            told = _refused(item) if isinstance(item, Problem) else self._tell(item, bulk)
            size = len(msgspec.json.encode(told["body"])) if "body" in told else 0
            if size > room:
                told = {name: value for name, value in told.items() if name != "body"}
            else:
                room -= size
            self._told.append(told)
        for told in self._told:
            if "seq" in told:
                told["seq"] = bulk.from_the_end(told["seq"])
        self._answer = Answer(HTTPStatus.OK, self._told, seq=self._newest(bulk))
        if self.once is not None and any("error" not in told for told in self._told):
            bulk.keep(self.once, self._answer)

    def _newest(self, bulk: Bulk) -> int | None:
        """The last seq that is told of; None where only the append will know it."""
        seqs = [told["seq"] for told in self._told if "seq" in told]
        return None if bulk.events else max(seqs, default=None)

    def _tell(self, item: Item, bulk: Bulk) -> Told:
        try:
            return self._carry_out(item, bulk)
        except _OURS:
            raise
        except Exception as error:
            problem = self.door.problem_for(error)
            if problem is None:
                raise
            return _refused(self._in_order(problem, item, bulk))

    def _carry_out(self, item: Item, bulk: Bulk) -> Told:
        self._refuse_stranger(item)
        if item.fault is not None:
            raise item.fault
        if item.once is None:
            return self._perform(item, bulk)
        before = self._told_before(item.once)
        if before is not None:
            return {**before, "replayed": True}
        told = self._perform(item, bulk)
        self._answered[item.once.scope] = item.once, told
        return {**told}

    def _refuse_stranger(self, item: Item) -> None:
        """Raises Problem: what is not there for whoever asks, then what they may not do."""
        principal, why = self.door.principal, None
        if item.command == CREATE:
            why = refused_creation(principal, {"agent_id": item.agent_id})
        elif not is_agent_id(item.agent_id) or not principal.sees_agent(item.agent_id):
            raise not_found()
        if not principal.may(item.kind.right):
            why = f"The role {principal.role} may not do this."
        if why:
            raise forbidden(why)

    def _told_before(self, once: Once) -> Told | None:
        """What the same item was told, in this request or in an earlier one."""
        if once.scope in self._answered:
            first, told = self._answered[once.scope]
            if first.fingerprint != once.fingerprint:
                raise items.key_reused()
            return told
        try:
            answer = once.answer_of(self._known.get(once.scope))
        except KeyReused:
            raise items.key_reused() from None
        return _accepted(answer, answer.seq) if answer else None

    def _perform(self, item: Item, bulk: Bulk) -> Told:
        """Have the door of the command carry it out, which meets no request but this item."""
        kind, fields, asked = item.kind, dict(item.fields), self.door
        in_path = {kind.in_path: fields.pop(kind.in_path)} if kind.in_path else {}
        door: Any = kind.door(
            tenant=asked.tenant,
            principal=asked.principal,
            agent_id=item.agent_id,
            kwargs=in_path,
            book=bulk.book,
        )
        reason = fields.get("reason")
        outcome = door.run(
            fields,
            tenant=asked.tenant,
            by=replace(self.by, reason=reason) if reason else self.by,
            request=command.Request(
                if_version=item.if_version, render=door.render, once=item.once, bulk=bulk
            ),
        )
        return _accepted(outcome.answer, outcome.seq)

    def _in_order(self, problem: Problem, item: Item, bulk: Bulk) -> Problem:
        """The refusal that comes first: that there is no such agent, before most others."""
        concerns_one = problem.status in AFTER_THE_OBJECT and item.command != CREATE
        if concerns_one and not bulk.exists(item.agent_id):
            return not_found()
        self.denied = self.denied or problem.status == HTTPStatus.FORBIDDEN
        return items.in_item(problem, item)

    def _overtaken(self, told: Told, lost: RaceLost) -> Told:
        """After the last try nothing was recorded; a refusal and an earlier answer stand."""
        if "error" in told or ("replayed" in told and told["seq"] > 0):
            return told
        problem = self.door.problem_for(lost)
        return _refused(problem) if problem else told


def _refused(problem: Problem) -> Told:
    return {"status": int(problem.status), "error": problem.body()}


def _accepted(answer: Answer, seq: int | None) -> Told:
    """seq: of the item's last event, or its place in the bulk until the append."""
    body: Any = answer.body
    if seq is not None and seq > 0 and "seq" in body:
        body = {**body, "seq": seq}
    return {"status": int(answer.status), "seq": seq, "body": body}
