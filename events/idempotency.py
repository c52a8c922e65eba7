"""Idempotency keys: a request that is sent again gets its first answer, and happens once.

A bulk's items may name keys of their own beside the request's.

The key's row is written by the statement that appends the events: a crash leaves both or neither.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import IntegrityError
from django.utils.crypto import salted_hmac

from events.facts import JSON, utc_now
from events.log.rows import How, Put
from events.models import IdempotencyKey

LIFETIME = timedelta(hours=24)
FORGOTTEN_AT_ONCE = 1_000


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
    """What a request was told. `body` is JSON-ready; a `seq` in it stands for the append's.

    Of a bulk it is a list of items, whose `seq` is counted from the append's last: 0, -1, -2 …,
    unless it was known before.
    """

    status: int
    body: JSON
    location: str | None = None
    seq: int | None = None
    version: int | None = None

    def at(self, seq: int) -> "Answer":
        """The answer, knowing the seq of the last event that was written."""
        body = self.body
        if isinstance(body, list):
            body = [_item_at(item, seq) for item in body]
        elif "seq" in body:
            body = {**body, "seq": seq}
        return Answer(self.status, body, self.location, seq, self.version)


def _item_at(item: dict[str, Any], last: int) -> dict[str, Any]:
    place = item.get("seq")
    if place is None or place > 0:
        return item
    seq, body = last + place, item.get("body", {})
    known = {"body": {**body, "seq": seq}} if "seq" in body else {}
    return {**item, "seq": seq, **known}


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
        return self.answer_of(standing(self.tenant, [self], now).get(self.scope))

    def answer_of(self, row: IdempotencyKey | None) -> Answer | None:
        """The answer that `standing` found for this request. Raises KeyReused."""
        if row is None:
            return None
        if bytes(row.fingerprint) != self.fingerprint:
            raise KeyReused
        answer = Answer(
            row.status, msgspec.json.decode(row.body), row.location, row.seq, row.version
        )
        # The body was written with the events, before their seq was known.
        return answer if row.seq is None else answer.at(row.seq)

    def put(self, answer: Answer, now: datetime) -> Put:
        """The row to be written with the events; refused when the key's request was first. An
        answer that knows its seq keeps it."""
        key = {"tenant_id": self.tenant, "scope": self.scope}
        values = self._columns(answer, now)
        if answer.seq is None:
            return Put(IdempotencyKey, How.INSERT, key, values, "seq")
        return Put(IdempotencyKey, How.INSERT, key, {**values, "seq": answer.seq})

    def keep(self, answer: Answer) -> None:
        """Keep the answer of a request that wrote no event. Raises AnsweredBefore."""
        _, is_new = IdempotencyKey.objects.get_or_create(
            tenant_id=self.tenant,
            scope=self.scope,
            defaults={**self._columns(answer, utc_now()), "seq": answer.seq},
        )
        if not is_new:
            raise AnsweredBefore

    def _columns(self, answer: Answer, now: datetime) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "status": int(answer.status),  # an HTTPStatus is none to a driver
            "body": msgspec.json.encode(answer.body).decode(),
            "location": answer.location,
            "version": answer.version,
            "created_at": now,
        }


def standing(
    tenant: str, asked: Iterable[Once], now: datetime | None = None
) -> dict[bytes, IdempotencyKey]:
    """The rows of these requests' keys by their scopes: one query. Keys that are a day old are
    forgotten."""
    scopes = [once.scope for once in asked]
    if not scopes:
        return {}
    found = list(IdempotencyKey.objects.filter(tenant=tenant, scope__in=scopes))
    oldest = (now or utc_now()) - LIFETIME
    expired = [row.pk for row in found if row.created_at < oldest]
    if expired:
        IdempotencyKey.objects.filter(tenant=tenant, pk__in=expired).delete()
    return {bytes(row.scope): row for row in found if row.created_at >= oldest}


def keep_all(tenant: str, answers: Sequence[tuple[Once, Answer]]) -> None:
    """Keep the answers of requests that wrote no event, all or none. Raises AnsweredBefore."""
    now = utc_now()
    rows = [
        IdempotencyKey(
            tenant_id=tenant,
            scope=once.scope,
            seq=answer.seq,
            **once._columns(answer, now),  # noqa: SLF001 -- our own
        )
        for once, answer in answers
    ]
    try:
        IdempotencyKey.objects.bulk_create(rows)
    except IntegrityError:
        raise AnsweredBefore from None


def forget_expired(most: int = 50_000) -> int:
    """Delete the answers of more than a day ago, which nobody is given any more, in all tenants, in
    small transactions; how many, about `most` at the most."""
    expired = IdempotencyKey.objects.across_tenants().filter(created_at__lt=utc_now() - LIFETIME)
    forgotten = 0
    while forgotten < most and (
        keys := list(
            expired.order_by("created_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
        )
    ):
        IdempotencyKey.objects.across_tenants().filter(pk__in=keys).delete()
        forgotten += len(keys)
    return forgotten


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
