"""Checkpoints: what a log's chain had come to, as a text that can be signed and carried away.

    mesh.example.org/tenants/acme         the origin: whose log it is
    1042                                  seq of the last event
    9FJ1…=                                its hash, base64
    log_id 0b6c…                          the log's own id
    recorded_at 2026-01-02T03:04:05.000006Z

Whoever holds one can tell later whether the log up to that event is still the same. The origin
begins with the name of the key that signs. Specified in docs/verification.md.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from events import notes, signing
from events.log import chain
from events.log.errors import TenantUnknown
from events.models import Event, Tenant, TenantHead
from events.moments import parse_rfc3339, rfc3339
from events.notes import BadNote, Key
from events.tenants import is_slug

LINES = 5
_ORIGIN = re.compile(r"(\S+)/tenants/(\S+)")
_SEQ = re.compile(r"0|[1-9][0-9]{0,18}")
_DIGEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log up to and including `seq`. name: of the key that signs; hash: 32 bytes.

    recorded_at: of the event at `seq`, or when the log was made while it is empty.
    """

    name: str
    tenant: str
    seq: int
    hash: bytes
    log_id: uuid.UUID
    recorded_at: datetime

    def __str__(self) -> str:
        """The body to be signed."""
        return (
            f"{self.name}/tenants/{self.tenant}\n{self.seq}\n"
            f"{base64.b64encode(self.hash).decode()}\n"
            f"log_id {self.log_id}\nrecorded_at {rfc3339(self.recorded_at)}\n"
        )

    def note(self) -> str:
        """The signed note, or the bare body where there is no key to sign with."""
        signer = signing.signer()
        return signer.sign(str(self)) if signer else str(self)

    def of_its_name(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the keys whose word counts for it: nobody vouches for another's log."""
        return [key for key in keys if key.name == self.name]

    @classmethod
    def parse(cls, body: str) -> "Checkpoint":
        """What a note's body says. Raises BadNote when it is no checkpoint."""
        lines = body.splitlines()
        origin = _ORIGIN.fullmatch(lines[0]) if len(lines) == LINES else None
        if origin is None or not is_slug(origin[2]) or not _SEQ.fullmatch(lines[1]):
            raise BadNote("It is no checkpoint of a log.")
        try:
            digest = base64.b64decode(lines[2], validate=True)
            log_id = uuid.UUID(lines[3].removeprefix("log_id "))
            recorded_at = parse_rfc3339(lines[4].removeprefix("recorded_at "))
        except (binascii.Error, ValueError):
            raise BadNote("It is no checkpoint of a log.") from None
        checkpoint = cls(
            name=origin[1],
            tenant=origin[2],
            seq=int(lines[1]),
            hash=digest,
            log_id=log_id,
            recorded_at=recorded_at,
        )
        if len(digest) != _DIGEST or str(checkpoint) != body:
            raise BadNote("It is no checkpoint of a log.")
        return checkpoint


def at(tenant: str, seq: int | None = None) -> Checkpoint:
    """The log up to `seq`, or up to its end, as the database has it; nothing is computed again.

    Raises TenantUnknown, and LookupError for a seq that the log has not.
    """
    heads = TenantHead.objects.filter(tenant=tenant).values_list("seq", "hash", "recorded_at")
    head, owner = heads.first(), Tenant.objects.filter(slug=tenant).first()
    if head is None or owner is None:
        raise TenantUnknown(tenant)
    last, digest, recorded_at = head
    if seq == 0:
        last, digest, recorded_at = 0, chain.genesis(owner.log_id), owner.created_at
    elif seq is not None and seq != last:
        events = Event.objects.filter(tenant=tenant, seq=seq)
        event = events.values_list("seq", "hash", "recorded_at").first()
        if event is None:
            raise LookupError(f"{tenant}'s log has no event {seq}; it ends at {last}.")
        last, digest, recorded_at = event
    return Checkpoint(
        name=signing.key_name(),
        tenant=tenant,
        seq=last,
        hash=bytes(digest),
        log_id=owner.log_id,
        recorded_at=recorded_at,
    )


def read_note(text: str) -> tuple[Checkpoint, notes.Note]:
    """The checkpoint of a note, whoever has signed it. Raises BadNote."""
    note = notes.parse(text)
    return Checkpoint.parse(note.body), note
