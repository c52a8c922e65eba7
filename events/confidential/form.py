"""The sealed form of a payload, exactly. docs/personal-data.md says the same to strangers.

A payload is the compact JSON text that would have been stored; it is encrypted with AES-256-GCM
under a data key of its task and its agent, and stands in the event's data as

    {"$confidential": {"v": 1, "key": …, "nonce": …, "ciphertext": …}}

so that a revealed event has to the byte the data that it would have had without. The additional
data binds the ciphertext to its place: copied into another event it opens for nobody.
"""

import os
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)
from msgspec import Meta

from events.facts import JSON

MARK = "$confidential"
ERASED = "erased"  # stands in the log itself where a payload came after its task's erasure
KEY_BYTES = 32
NONCE_BYTES = 12
DOMAIN = b"agentmesh.payload.v1\x00"
# The one field of each type that holds a payload.
OPAQUE = {"AgentTaskAssignedEvent": "input", "AgentTaskCompletedEvent": "result"}


class Place(NamedTuple):
    """Where a payload stands: what its ciphertext is bound to."""

    tenant: str
    agent_id: str
    task_id: str
    field: str


class SealedPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands under the mark. `key`: the data key's id, 32 hex digits; the rest in base64."""

    v: Literal[1]
    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    nonce: bytes
    ciphertext: bytes


class Damaged(Exception):
    """A ciphertext, or a wrapped key, is not what was once made, or not for this place."""


def is_sealed(value: JSON) -> bool:
    """Whether a payload has the shape of a sealed one; no client can send such a payload."""
    return isinstance(value, dict) and len(value) == 1 and MARK in value


def seal(
    plaintext: bytes, data_key: bytes, key_id: str, place: Place, *, nonce: bytes | None = None
) -> dict[str, Any]:
    """The stored form of a payload. The nonce is random, and given only by test vectors."""
    nonce = nonce or os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, additional_data(place))
    return {MARK: msgspec.to_builtins(SealedPayload(1, key_id, nonce, ciphertext))}


def parse(value: JSON) -> SealedPayload:
    """What stands under the mark of a stored form. Raises Damaged."""
    try:
        return msgspec.convert(value, SealedPayload)
    except msgspec.ValidationError as error:
        raise Damaged from error


def open_sealed(payload: SealedPayload, data_key: bytes, place: Place) -> bytes:
    """The payload's JSON text. Raises Damaged."""
    try:
        return AESGCM(data_key).decrypt(payload.nonce, payload.ciphertext, additional_data(place))
    except (InvalidTag, ValueError) as error:
        raise Damaged from error


def additional_data(place: Place) -> bytes:
    """The domain, then each name as its length in 4 bytes, big-endian, and its UTF-8 text."""
    texts = [text.encode() for text in place]
    return DOMAIN + b"".join(len(text).to_bytes(4, "big") + text for text in texts)


def wrap(data_key: bytes, by: bytes) -> bytes:
    """The data key under a key that no database holds: AES key wrap (RFC 3394), 40 bytes."""
    return aes_key_wrap(by, data_key)


def unwrap(wrapped: bytes, by: bytes) -> bytes:
    """The data key. Raises Damaged."""
    try:
        data_key = aes_key_unwrap(by, wrapped)
    except (InvalidUnwrap, ValueError) as error:
        raise Damaged from error
    if len(data_key) != KEY_BYTES:
        raise Damaged
    return data_key
