"""The keys that wrap data keys: from AGENTMESH_ENCRYPTION_KEYS, the first wraps, all unwrap."""

import hashlib
from dataclasses import dataclass

from django.conf import settings

from events.confidential import form

ID_BYTES = 8


class Locked(Exception):
    """The key that a data key is wrapped with is not configured here."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A row of PayloadKey. wrapped: None once it is destroyed. kek: the id of what wraps it."""

    key_id: str
    wrapped: bytes | None
    kek: str


def kek_id(key: bytes) -> str:
    """How a key that wraps is named in the database: the first 8 bytes of its SHA-256, in hex."""
    return hashlib.sha256(key).digest()[:ID_BYTES].hex()


def configured() -> dict[str, bytes]:
    """The keys that wrap by their ids, the first one first; empty when none is set."""
    return {kek_id(key): key for key in settings.ENCRYPTION_KEYS}


def unwrapped(key: DataKey, keks: dict[str, bytes]) -> bytes:
    """The data key itself, of a row that is not destroyed. Raises Locked, form.Damaged."""
    if key.kek not in keks:
        raise Locked
    return form.unwrap(key.wrapped or b"", keks[key.kek])
