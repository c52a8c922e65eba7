"""Idempotency-Key: the same request again gets its first answer, and nothing happens twice.

Nothing is reserved beforehand. The key's row is written by the statement that appends the events,
so of two requests under one key that run at the same time one is refused by the unique key, or by
whatever noticed the other first, and then gives the other's answer. What a request wrote and what
it was told share one fate: a crash leaves neither.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from events.access import Right
from events.api.door import SEQ, WITH_A_BODY, TenantDoor, json_response
from events.api.problem import Problem, invalid_header
from events.confidential import reveal
from events.idempotency import Answer, AnsweredBefore, KeyReused, Once
from events.metrics import instruments

KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY_FORM = "must be 1 to 255 printable ASCII characters."
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def is_key(text: str) -> bool:
    """Whether an idempotency key can be this."""
    return _KEY.fullmatch(text) is not None


class WritingDoor(TenantDoor):
    """A route whose POST and PATCH take an Idempotency-Key."""

    @classmethod
    def takes(cls, method: str) -> tuple[str, ...]:
        return (*super().takes(method), *((KEY,) if method in WITH_A_BODY else ()))

    @classmethod
    def may_refuse(cls, method: str) -> frozenset[str]:
        codes = {"conflict"} if method != "GET" else set()
        if method in WITH_A_BODY:
            codes |= {"key_reused", "in_progress"}
        return super().may_refuse(method) | codes

    def once(self, request: Request) -> Once | None:
        """The request as its key names it; None without a key. Raises Problem (400)."""
        key = request.headers.get(KEY)
        if key is None:
            return None
        if not is_key(key):
            raise invalid_header(KEY, KEY_FORM)
        return self.once_of(key, method=request.method or "", path=request.path, body=self.raw_body)

    def once_of(self, key: str, *, method: str, path: str, body: bytes) -> Once:
        """What this principal asks for under a key."""
        # Two tokens may have one name, and so one actor.
        principal = str(token.pk) if (token := self.principal.token) else self.principal.actor
        return Once.of(
            tenant=self.tenant, principal=principal, method=method, path=path, key=key, body=body
        )

    def answer_once(self, once: Once | None, execute: Callable[[], HttpResponse]) -> HttpResponse:
        """The response of `execute`, which keeps its answer under `once`; or the one before."""
        if once is None:
            return execute()
        replay = self._replay(once)
        if replay is not None:
            return replay
        try:
            return execute()
        except Exception as refusal:
            # Perhaps what refused this one is that the very same request was first.
            replay = self._replay(once)
            if replay is not None:
                return replay
            if isinstance(refusal, AnsweredBefore):
                raise Problem(
                    HTTPStatus.CONFLICT, "in_progress", "The same request is running. Try again."
                ) from refusal
            raise

    def respond(self, answer: Answer) -> HttpResponse:
        """The answer as this principal may read it now. Kept answers hold payloads sealed."""
        body = answer.body
        if isinstance(body, list):
            shown = self._revealed([item.get("body", {}) for item in body])
            items = zip(body, shown, strict=True)
            return response_of(
                replace(answer, body=[{**i, "body": b} if b else i for i, b in items])
            )
        (shown_body,) = self._revealed([body])
        return response_of(replace(answer, body=shown_body))

    def _revealed(self, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        plain = self.principal.may(Right.READ_PAYLOADS)
        return reveal.of_tasks(self.tenant, bodies, plain=plain)

    def _replay(self, once: Once) -> HttpResponse | None:
        try:
            answer = once.earlier_answer()
        except KeyReused as reused:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "key_reused",
                str(reused),
                errors=({"header": KEY, "detail": "was used with another body."},),
            ) from reused
        if answer is None:
            return None
        response = self.respond(answer)
        response.headers[REPLAYED] = "true"
        instruments.replays.inc()
        return response


def response_of(answer: Answer) -> HttpResponse:
    headers = {}
    if answer.location is not None:
        headers["Location"] = answer.location
    if answer.version is not None:
        headers["ETag"] = f'"{answer.version}"'
    if answer.seq is not None:
        headers[SEQ] = str(answer.seq)
    return json_response(msgspec.json.encode(answer.body), status=answer.status, headers=headers)
