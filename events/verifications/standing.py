"""How a log's proof stands: what the last verification that came to an end found, and how old that
is."""

from dataclasses import dataclass
from enum import StrEnum

from events.models import SignedCheckpoint, Verification
from events.verifications.asking import OPEN, of


class Proof(StrEnum):
    """What is known of the chain."""

    HOLDS = "holds"
    BROKEN = "broken"
    NEVER = "never"  # verified to an end


@dataclass(frozen=True, slots=True)
class Standing:
    """ended: the newest verification that came to an end; open: the one that has not, if any.
    checkpoint: the newest that is kept here, by whomever it is signed."""

    ended: Verification | None
    open: Verification | None
    checkpoint: SignedCheckpoint | None

    @property
    def proof(self) -> Proof:
        if self.ended is None:
            return Proof.NEVER
        passed = self.ended.status == Verification.Status.PASSED
        return Proof.HOLDS if passed else Proof.BROKEN


def standing(tenant: str) -> Standing:
    """Two queries. While a verification is open no other begins, so the newest two tell."""
    newest = list(of(tenant)[:2])
    return Standing(
        ended=next((each for each in newest if each.status not in OPEN), None),
        open=next((each for each in newest if each.status in OPEN), None),
        checkpoint=SignedCheckpoint.objects.filter(tenant=tenant).order_by("-seq").first(),
    )
