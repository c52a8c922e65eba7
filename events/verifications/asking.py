"""Asking for a verification. Who asks while one is open gets that one: it goes up to the end of the
log as it is when it gets there, so that it answers both."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from events.idempotency import Receipt
from events.log import read
from events.log.errors import TenantUnknown
from events.models import Verification

OPEN = (Verification.Status.QUEUED, Verification.Status.RUNNING)
TRIES = 3


def ask(tenant: str, *, by: str, receipt: Receipt) -> Verification:
    """The verification that is open, or a new one. by: the actor. Raises TenantUnknown, and
    AnsweredBefore as the receipt does."""
    with transaction.atomic():
        head = read.head(tenant)
        if head is None:
            raise TenantUnknown(tenant)
        found = _open_one(tenant, head.seq, by)
        receipt.unchanged(found, head.seq)
    return found


def of(tenant: str) -> "QuerySet[Verification]":
    """All of the tenant's, the newest first."""
    return Verification.objects.filter(tenant=tenant).order_by("-requested_at", "-id")


def going_on(tenant: str) -> Verification | None:
    """The one that is open."""
    return of(tenant).filter(status__in=OPEN).first()


def last(tenant: str) -> Verification | None:
    """The one that was finished last, whatever came of it."""
    return of(tenant).exclude(status__in=OPEN).order_by("-finished_at", "-id").first()


def last_passed(tenant: str) -> Verification | None:
    passed = of(tenant).filter(status=Verification.Status.PASSED)
    return passed.order_by("-finished_at", "-id").first()


def _open_one(tenant: str, head: int, by: str) -> Verification:
    for _ in range(TRIES):
        found = of(tenant).filter(status__in=OPEN).first()
        if found is not None:
            return found
        try:
            with transaction.atomic():
                return Verification.objects.create(tenant_id=tenant, head=head, requested_by=by)
        except IntegrityError:
            continue  # somebody else has asked at the same moment
    raise RuntimeError(f"A verification of {tenant} can be neither found nor made.")
