"""Idempotency keys: a request that is sent again gets its first answer, and happens once.

The key's row is written by the statement that appends the events: a crash leaves both or neither.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.utils.crypto import salted_hmac

from events.facts import utc_now
from events.log.rows import How, Put
from events.models import IdempotencyKey

LIFETIME = timedelta(hours=24)


class KeyReused(ValueError):
    """The key came with another body before."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body. Send a new key with a new request."
        )


class AnsweredBefore(Exception):
    """The same request, under the same key, was recorded by another process meanwhile."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was told. `body` is JSON-ready; a `seq` in it stands for the append's."""

    status: int
    body: dict[str, Any]
    location: str | None = None
    seq: int | None = None
    version: int | None = None

    def at(self, seq: int) -> "Answer":
        """The answer, knowing the seq of the last event that was written."""
        body = {**self.body, "seq": seq} if "seq" in self.body else self.body
        return Answer(self.status, body, self.location, seq, self.version)


@dataclass(frozen=True, slots=True)
class Once:
    """One request that named a key. scope and fingerprint: 32 bytes each."""

    tenant: str
    scope: bytes
    fingerprint: bytes

    @classmethod
    def of(
        cls, *, tenant: str, principal: str, method: str, path: str, key: str, body: bytes
    ) -> "Once":
        parts = (principal, method, path, key)
        scope = hashlib.sha256("\x00".join(parts).encode()).digest()
        # Keyed: of a body that holds somebody's data a bare hash would let guesses be confirmed,
        # also when the data itself is long erased.
        fingerprint = salted_hmac("events.idempotency", body, algorithm="sha256").digest()
        return cls(tenant, scope, fingerprint)

    def earlier_answer(self, now: datetime | None = None) -> Answer | None:
        """The first answer to this request, if it was given within 24 hours. Raises KeyReused."""
        row = IdempotencyKey.objects.filter(tenant=self.tenant, scope=self.scope).first()
        if row is None:
            return None
        if row.created_at < (now or utc_now()) - LIFETIME:
            IdempotencyKey.objects.filter(tenant=self.tenant, pk=row.pk).delete()
            return None
        if bytes(row.fingerprint) != self.fingerprint:
            raise KeyReused
        answer = Answer(
            row.status, msgspec.json.decode(row.body), row.location, row.seq, row.version
        )
        # The body was written with the events, before their seq was known.
        return answer if row.seq is None else answer.at(row.seq)

    def put(self, answer: Answer, now: datetime) -> Put:
        """The row to be written with the events; refused when the key's request was first."""
        return Put(
            IdempotencyKey,
            How.INSERT,
            {"tenant_id": self.tenant, "scope": self.scope},
            {
                "fingerprint": self.fingerprint,
                "status": int(answer.status),  # an HTTPStatus is none to a driver
                "body": msgspec.json.encode(answer.body).decode(),
                "location": answer.location,
                "version": answer.version,
                "created_at": now,
            },
            "seq",
        )

    def keep(self, answer: Answer) -> None:
        """Keep the answer of a request that wrote no event. Raises AnsweredBefore."""
        _, is_new = IdempotencyKey.objects.get_or_create(
            tenant_id=self.tenant,
            scope=self.scope,
            defaults={
                "fingerprint": self.fingerprint,
                "status": int(answer.status),  # an HTTPStatus is none to a driver
                "body": msgspec.json.encode(answer.body).decode(),
                "location": answer.location,
                "seq": answer.seq,
                "version": answer.version,
                "created_at": utc_now(),
            },
        )
        if not is_new:
            raise AnsweredBefore


@dataclass(slots=True)
class Receipt:
    """What a door wants of a change to a tenant beside its result.

    render: makes the door's answer from the thing that was changed; it is kept under `once` when
    that is given, so it holds no secret. answer: there afterwards, knowing its seq.
    """

    render: Callable[[Any], Answer]
    once: Once | None = None
    answer: Answer | None = None

    def rows(self, thing: object, now: datetime) -> list[Put]:
        """What is to be written with the fact."""
        self.answer = self.render(thing)
        return [self.once.put(self.answer, now)] if self.once else []

    def written(self, seq: int) -> None:
        self.answer = self.answer.at(seq) if self.answer else None

    def unchanged(self, thing: object, seq: int) -> None:
        """Nothing had to be written; the log stood at `seq`. Raises AnsweredBefore."""
        self.answer = self.render(thing).at(seq)
        if self.once:
            self.once.keep(self.answer)
