"""Checkpoints as docs/verification.md has them, read by a few lines that know none of our code."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from events.log.checkpoint import Checkpoint, read_note
from events.notes import Key, Signer
from tests.log import chain_by_hand

VECTORS = json.loads(
    (Path(__file__).parent / "checkpoint_vectors.json").read_text(encoding="utf-8")
)
NOTES = pytest.mark.parametrize("vector", VECTORS["notes"], ids=lambda each: each["what"])


def opened(note: str, verifier_key: str) -> list[str]:
    """The lines of a note that the key has signed. Raises InvalidSignature."""
    name, key_id, encoded = verifier_key.split("+", 2)
    kind_and_key = base64.b64decode(encoded)
    assert hashlib.sha256(f"{name}\n".encode() + kind_and_key).hexdigest()[:8] == key_id
    body, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        raw = base64.b64decode(signature)
        if (dash, signer, raw[:4].hex()) == ("—", name, key_id):
            public = Ed25519PublicKey.from_public_bytes(kind_and_key[1:])
            public.verify(raw[4:], f"{body}\n".encode())
            return body.split("\n")
    raise InvalidSignature


@NOTES
def test_a_stranger_reads_and_believes_a_note(vector: dict[str, Any]) -> None:
    origin, seq, digest, log_id, recorded_at = opened(vector["note"], VECTORS["verifier_key"])

    assert origin == f"{VECTORS['name']}/tenants/{vector['tenant']}"
    assert int(seq) == vector["seq"]
    assert base64.b64decode(digest).hex() == vector["hash"]
    assert log_id == f"log_id {vector['log_id']}"
    assert recorded_at == f"recorded_at {vector['recorded_at']}"
    if vector["seq"] == 0:
        assert chain_by_hand.genesis(UUID(vector["log_id"])).hex() == vector["hash"]


@NOTES
def test_a_stranger_notices_a_changed_note(vector: dict[str, Any]) -> None:
    changed = vector["note"].replace(f"\n{vector['seq']}\n", f"\n{vector['seq'] + 1}\n")

    with pytest.raises(InvalidSignature):
        opened(changed, VECTORS["verifier_key"])


@NOTES
def test_we_sign_to_the_byte_what_the_vectors_say(vector: dict[str, Any]) -> None:
    signer = Signer(VECTORS["name"], bytes.fromhex(VECTORS["seed"]))
    checkpoint = Checkpoint(
        name=VECTORS["name"],
        tenant=vector["tenant"],
        seq=vector["seq"],
        hash=bytes.fromhex(vector["hash"]),
        log_id=UUID(vector["log_id"]),
        recorded_at=datetime.fromisoformat(vector["recorded_at"]).astimezone(UTC),
    )

    assert str(checkpoint) == vector["body"]
    assert signer.sign(str(checkpoint)) == vector["note"]
    assert read_note(vector["note"])[0] == checkpoint


def test_the_keys_belong_together() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["seed"]))

    key = Key.parse(VECTORS["verifier_key"])

    assert key.public == private.public_key().public_bytes_raw()
    assert str(Signer(VECTORS["name"], bytes.fromhex(VECTORS["seed"])).key) == str(key)
