"""What nobody asks for any more goes by itself: answers after a day, sessions when they end."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from events import duties, idempotency, sessions
from events.idempotency import LIFETIME
from events.models import IdempotencyKey


def answer(tenant: str, age: timedelta) -> int:
    row = IdempotencyKey.objects.create(
        tenant_id=tenant,
        scope=uuid.uuid4().bytes * 2,
        fingerprint=bytes(32),
        status=200,
        body="{}",
        created_at=timezone.now() - age,
    )
    return row.pk


def test_answers_are_kept_for_a_day(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "FORGOTTEN_AT_ONCE", 2)
    minute = timedelta(minutes=1)
    young = answer(acme, LIFETIME - minute)
    for _ in range(5):
        answer(acme, LIFETIME + minute)

    idempotency.forget_expired(most=4)
    assert IdempotencyKey.objects.filter(tenant=acme).count() >= 2
    idempotency.forget_expired()

    assert [row.pk for row in IdempotencyKey.objects.filter(tenant=acme)] == [young]
    assert duties.sweeps["kept-answers"].run is idempotency.forget_expired


@pytest.mark.usefixtures("committed_db")
def test_sessions_go_when_they_let_nobody_in_any_more() -> None:
    now = timezone.now()
    keys = [uuid.uuid4().hex for _ in range(2)]
    for key, ends in zip(keys, (now - timedelta(hours=1), now + timedelta(hours=1)), strict=True):
        Session.objects.create(session_key=key, session_data="", expire_date=ends)

    sessions.forget_expired()

    assert [*Session.objects.filter(pk__in=keys).values_list("pk", flat=True)] == [keys[1]]
    assert duties.sweeps["expired-sessions"].run is sessions.forget_expired
