"""The lock: which schema each version of a type was given, and payloads that it was stored as.

lock.json has the hashes; golden/<type>-<version>.jsonl has stored payloads, one a line, exactly.
Entries are made once. What was recorded or read in a version stays readable in it for good, so an
entry changes only for a version that no release has ever recorded.
"""

import hashlib
from pathlib import Path

import msgspec

from events import registry
from events.registry import Kind
from events.schemas import document

HERE = Path(__file__).parent


class Entry(msgspec.Struct, frozen=True):
    """SHA-256, in hex. sha256: of the schema as it is served. shape: of the schema without its
    words, which may be mended at any time. golden: of the file of golden payloads."""

    sha256: str
    shape: str
    golden: str


Locked = dict[str, dict[str, Entry]]


class LockUnreadable(Exception):
    """The lock file is missing, or is no lock."""


def read(folder: Path) -> Locked:
    """Raises LockUnreadable."""
    try:
        return msgspec.json.decode((folder / "lock.json").read_bytes(), type=Locked)
    except (OSError, msgspec.DecodeError) as error:
        raise LockUnreadable(f"The schema lock cannot be read ({error}).") from error


def golden_file(kind: Kind, folder: Path = HERE) -> Path:
    return folder / "golden" / f"{kind.type}-{kind.version}.jsonl"


def golden(kind: Kind) -> list[bytes]:
    """The golden payloads of a version, as they were stored."""
    return golden_file(kind).read_bytes().splitlines()


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def entry_of(kind: Kind, payloads: bytes) -> Entry:
    schema = document.document(*kind)
    return Entry(
        sha256=document.sha256(schema),
        shape=document.sha256(document.shape(schema)),
        golden=digest(payloads),
    )


def fault_of_payloads(kind: Kind, payloads: bytes) -> str | None:
    """Why these are no golden payloads of the version; None when they are."""
    definition = registry.fact_type(*kind)
    lines = payloads.splitlines()
    if not lines or not payloads.endswith(b"\n"):
        return "it has no payload, or no line end after its last one"
    for number, line in enumerate(lines, 1):
        try:
            stored = msgspec.json.encode(msgspec.json.decode(line, type=definition))
        except msgspec.DecodeError as error:
            return f"line {number} is no such payload: {error}"
        if stored != line:
            return f"line {number} is not as it would be stored, which is {stored.decode()}"
    return None
