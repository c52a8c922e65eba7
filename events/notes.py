"""Signed notes (C2SP signed-note): a short text, and below it who vouches for it, Ed25519.

    body lines, each ending in a newline
    (an empty line)
    — <key name> <base64 of the key's id, 4 bytes, and the signature, 64 bytes>

Pure functions over values: no settings, no database. https://c2sp.org/signed-note
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"  # the signature's type, as the specification numbers them
KEY_BYTES = 32
ID_BYTES = 4
SIGNATURE_BYTES = 64
DASH = "\u2014"  # with which every signature line begins

# No control characters either: a name is shown to people on their terminals, and kept in a table.
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f-\x9f]+")
_SIGNATURE = re.compile(rf"{DASH} ({_NAME.pattern}) ([A-Za-z0-9+/=]+)")


class BadKey(ValueError):
    """The text is no verifier key; the message says what one looks like."""

    def __init__(self) -> None:
        super().__init__("A verifier key is <name>+<8 hex digits>+<base64>, as /api/v1/keys says.")


class BadNote(ValueError):
    """The text is no signed note, or nobody whom we know has signed it as it stands."""


@dataclass(frozen=True)
class Key:
    """A public key and the name under which it signs. public: 32 bytes."""

    name: str
    public: bytes

    @cached_property
    def id(self) -> bytes:
        """4 bytes, which tell keys of one name apart."""
        named = self.name.encode() + b"\n" + ED25519 + self.public
        return hashlib.sha256(named).digest()[:ID_BYTES]

    def __str__(self) -> str:
        """The verifier key, to be handed to whoever shall check our notes."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """The key of a verifier key's text. Raises BadKey."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not _NAME.fullmatch(parts[0]):  # noqa: PLR2004 -- name, id, key
            raise BadKey
        try:
            encoded = base64.b64decode(parts[2], validate=True)
        except (binascii.Error, ValueError):
            raise BadKey from None
        key = cls(parts[0], encoded[1:])
        if encoded[:1] != ED25519 or len(key.public) != KEY_BYTES or key.id.hex() != parts[1]:
            raise BadKey
        return key

    def has_signed(self, body: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, body.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key and the name under which it signs. private: 32 bytes."""

    name: str
    private: bytes

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.private)

    @cached_property
    def key(self) -> Key:
        return Key(self.name, self._key.public_key().public_bytes_raw())

    def sign(self, body: str) -> str:
        """The note. Ed25519 has no chance in it: the same body gives the same note."""
        if not body.endswith("\n") or not all(body[:-1].split("\n")):
            raise ValueError("A note's body is lines of text, none of them empty.")
        signed = base64.b64encode(self.key.id + self._key.sign(body.encode())).decode()
        return f"{body}\n{DASH} {self.name} {signed}\n"


@dataclass(frozen=True)
class Note:
    """A note as it stands. signatures: (name, key's id, signature) of each signature line."""

    text: str
    body: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def signed_by(self, keys: Iterable[Key]) -> Key | None:
        """The first of `keys` that vouches for it; None when none is among the signatures.

        Raises BadNote when a signature names one of the keys and is not that key's.
        """
        for key in keys:
            for name, key_id, signature in self.signatures:
                if (name, key_id) == (key.name, key.id):
                    if not key.has_signed(self.body, signature):
                        raise BadNote(
                            f"The signature of {name} does not fit: the note was changed."
                        )
                    return key
        return None


def parse(text: str) -> Note:
    """One note; one without any signature is a body alone. Raises BadNote."""
    body, blank, signed = text.partition("\n\n")
    if not blank:
        body, signed = body.removesuffix("\n"), ""
    if not body:
        raise BadNote("A note begins with its text.")
    return Note(text, body + "\n", tuple(_signatures(signed)))


def split(text: str) -> Iterator[str]:
    """The notes of a text in which they stand one after another, with or without empty lines."""
    lines: list[str] = []
    in_signatures = False
    for line in text.splitlines():
        is_signature = line.startswith(f"{DASH} ")
        if in_signatures and not is_signature:
            yield "\n".join(lines) + "\n"
            lines, in_signatures = [], False
        if line or lines:
            lines.append(line)
        in_signatures = in_signatures or is_signature
    while lines and not lines[-1]:
        lines.pop()
    if lines:
        yield "\n".join(lines) + "\n"


def _signatures(text: str) -> Iterator[tuple[str, bytes, bytes]]:
    for line in text.splitlines():
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise BadNote("Below a note's empty line stand signatures alone.")
        try:
            encoded = base64.b64decode(match[2], validate=True)
        except (binascii.Error, ValueError):
            raise BadNote("A signature is not base64.") from None
        if len(encoded) <= ID_BYTES:
            raise BadNote("A signature is too short.")
        yield match[1], encoded[:ID_BYTES], encoded[ID_BYTES:]
