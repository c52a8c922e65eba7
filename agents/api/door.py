"""What the routes about agents have in common: whose it is, If-Match, the domain's refusals."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents import command
from agents.api import shapes
from agents.claims import Book, ClaimLost
from agents.command import AlreadyExists, Outcome, RaceLost, VersionMismatch
from agents.current import STREAM, AgentNotFound
from agents.domain import limits
from agents.domain.errors import InvalidCommand, PayloadTooLarge, RuleViolated
from agents.tasks import TaskNotFound
from events.access import Right
from events.api.door import SEQ, WITH_A_BODY
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Parameter
from events.api.problem import (
    Problem,
    field_too_large,
    invalid_field,
    invalid_header,
    not_found,
    unavailable,
)
from events.api.refusals import REFUSALS, Refusals
from events.idempotency import Answer
from events.log.errors import RowRefused
from events.models import Event

IF_MATCH = "If-Match"
NO_VERSION = 0  # no agent is ever at it
_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_VERSION = re.compile(r"[1-9][0-9]{0,18}")


def _rule_violated(error: RuleViolated) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        "rule_violated",
        error.message,
        rule=error.rule,
        current_task_id=error.current_task_id,
    )


def _changed(error: VersionMismatch) -> Problem:
    return Problem(
        HTTPStatus.PRECONDITION_FAILED,
        "version_mismatch",
        f"The agent is at version {error.version} by now. Read it again and decide again.",
        errors=({"header": IF_MATCH, "detail": f"the agent's ETag is {error.version}."},),
        headers={"ETag": f'"{error.version}"'},
    )


def overtaken(_: Exception) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "conflict", "Others were first every time. Try again.")


DOMAIN_REFUSALS: Refusals = (
    ((AgentNotFound, TaskNotFound), lambda _: not_found()),
    (PayloadTooLarge, lambda error: field_too_large(error.field, error.detail)),
    (InvalidCommand, lambda error: invalid_field(error.field, error.detail)),
    (RuleViolated, _rule_violated),
    (VersionMismatch, _changed),
    (AlreadyExists, lambda e: Problem(HTTPStatus.CONFLICT, "already_exists", str(e))),
    ((RaceLost, RowRefused), overtaken),
    (ClaimLost, lambda error: unavailable(str(error))),
)


class AgentsDoor(WritingDoor):
    """A route about agents."""

    refusals: ClassVar = (*DOMAIN_REFUSALS, *REFUSALS)

    def answer(self, outcome: Outcome) -> HttpResponse:
        if outcome.answer is None:
            raise RuntimeError("The service made no answer although a render was given.")
        return self.respond(outcome.answer)


class AgentDoor(AgentsDoor):
    """A route of one agent."""

    parameters: ClassVar[Mapping[str, Parameter]] = shapes.PARAMETERS

    def admit(self, request: Request) -> None:
        super().admit(request)
        self.agent_id: str = self.kwargs["agent_id"]
        if not is_agent_id(self.agent_id) or not self.principal.sees_agent(self.agent_id):
            raise not_found()

    def object_exists(self) -> bool:
        return Event.objects.filter(
            tenant=self.tenant, stream_type=STREAM, stream_id=self.agent_id, version=1
        ).exists()


class CommandDoor(AgentDoor):
    """One command on one agent. `run` calls the service with the checked fields.

    book: the claims of the bulk that the command is part of, see `agents.api.bulk`.
    """

    book: Book | None = None

    @classmethod
    def takes(cls, method: str) -> tuple[str, ...]:
        return (*super().takes(method), *((IF_MATCH,) if method in WITH_A_BODY else ()))

    @classmethod
    def may_refuse(cls, method: str) -> frozenset[str]:
        of_commands = {"rule_violated", "version_mismatch"}
        return super().may_refuse(method) | (of_commands if method in WITH_A_BODY else frozenset())

    def perform(self, request: Request) -> HttpResponse:
        fields = self.order(request)
        version, once = if_version(request), self.once(request)
        asked = command.Request(if_version=version, render=self.render, once=once)
        by = self.context(fields.get("reason"))

        def execute() -> HttpResponse:
            return self.answer(self.run(fields, tenant=self.tenant, by=by, request=asked))

        return self.answer_once(once, execute)

    def run(self, fields: dict[str, Any], **asked: Any) -> Outcome:
        """Call the command's service."""
        raise NotImplementedError

    @property
    def render(self) -> command.Render:
        raise NotImplementedError

    @property
    def claims(self) -> Book:
        """The claims as they stand before the command."""
        return self.book or Book(self.tenant)


class PostDoor(CommandDoor):
    """A command that is sent by POST."""

    rights: ClassVar = {"POST": Right.OPERATE}

    def post(self, request: Request, **_: str) -> HttpResponse:
        return self.perform(request)


def as_it_stood(request: Request, body: dict[str, Any], version: int, seq: int) -> HttpResponse:
    """What was read of an agent at a version, as of a seq; without its body for whoever has it."""
    if request.headers.get("If-None-Match", "").strip() == f'"{version}"':
        headers = {"ETag": f'"{version}"', SEQ: str(seq)}
        response = HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        del response.headers["Content-Type"]
        return response
    return response_of(Answer(HTTPStatus.OK, body, seq=seq, version=version))


def is_agent_id(text: str) -> bool:
    try:
        limits.check_agent_id(text)
    except InvalidCommand:
        return False
    return True


def is_key(text: str) -> bool:
    """Whether a task or a capability can have this name."""
    try:
        limits.check_task_id(text)
    except InvalidCommand:
        return False
    return True


def if_version(request: Request) -> int | None:
    """The version that the client insists on; None when it takes any. Raises Problem (400)."""
    value = request.headers.get(IF_MATCH)
    if value is None or value.strip() == "*":
        return None
    match = _ETAG.fullmatch(value.strip())
    if match is None:
        raise invalid_header(IF_MATCH, 'must be one ETag as it was given, such as "7", or *.')
    weak, version = match.groups()
    # If-Match compares strongly (RFC 9110, 13.1.1): what a proxy has weakened matches nothing.
    return int(version) if _VERSION.fullmatch(version) and not weak else NO_VERSION
