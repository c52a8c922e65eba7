"""How the log stands, in plain words, and what somebody may do to be surer of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from events import signing
from events.access import Principal, Right
from events.log import read
from events.models import SignedCheckpoint, Tenant, Verification
from events.notes import Key
from events.pages.frame import render_page, require, tenant_page
from events.pages.proof import told
from events.pages.proof.tabs import around
from events.pages.proof.told import Told
from events.verifications import asking


class Verdict(StrEnum):
    """What is to be said of the log. `STALE`: whole when it was looked at, and longer now."""

    DAMAGED = "damaged"
    WHOLE = "whole"
    STALE = "stale"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Standing:
    """The log as it stands, and what is known of it. since_…: events that came after that."""

    head: read.Head
    tenant: Tenant
    going_on: Told | None
    last: Told | None
    passed: Verification | None
    checkpoint: SignedCheckpoint | None
    signs: Key | None
    now: datetime

    @property
    def verdict(self) -> Verdict:
        if self.last is None:
            return Verdict.UNVERIFIED
        if self.last.row.status == Verification.Status.FAILED:
            return Verdict.DAMAGED
        return Verdict.STALE if self.since_verified else Verdict.WHOLE

    @property
    def since_verified(self) -> int:
        return self.head.seq - (self.passed.seq if self.passed else 0)

    @property
    def since_checkpoint(self) -> int:
        return self.head.seq - (self.checkpoint.seq if self.checkpoint else 0)

    @property
    def verified_seconds(self) -> int | None:
        """Since the last one ended."""
        ended = self.last.row.finished_at if self.last else None
        return _seconds(self.now, ended)

    @property
    def checkpoint_seconds(self) -> int | None:
        return _seconds(self.now, self.checkpoint.made_at if self.checkpoint else None)


def _seconds(now: datetime, then: datetime | None) -> int | None:
    return None if then is None else max(0, int((now - then).total_seconds()))


@require_safe
@tenant_page
def overview(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    context = {**around("overview", "Proof"), "standing": _standing(principal.tenant)}
    return render_page(request, principal, "proof/overview.html", context)


def _standing(tenant: str) -> Standing:
    head, owner = read.head(tenant), Tenant.objects.filter(slug=tenant).first()
    if head is None or owner is None:
        raise Http404
    signer = signing.signer()
    going_on, last = asking.going_on(tenant), asking.last(tenant)
    return Standing(
        head=head,
        tenant=owner,
        going_on=told.of(going_on) if going_on else None,
        last=told.of(last) if last else None,
        passed=asking.last_passed(tenant),
        checkpoint=SignedCheckpoint.objects.filter(tenant=tenant).order_by("-seq", "-id").first(),
        signs=signer.key if signer else None,
        now=timezone.now(),
    )
