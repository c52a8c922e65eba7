#!/usr/bin/env python3
"""Checks an export of a log, or an audit bundle, without AgentMesh: this one file, and Python 3.8
or newer alone.

    python3 verify_export.py FILE [--key VERIFIER_KEY] [--checkpoint NOTE_FILE]

FILE           what export_log wrote, or an audit bundle: the ZIP file, or the folder into which it
               was unpacked. Without it, the bundle in whose folder this file stands as verify.py.
--key          who must have signed the file's checkpoint, the bundle's manifest (and NOTE_FILE's),
               as /api/v1/keys says
--checkpoint   checkpoints of the same log that you got earlier: the file must fit them

Exit code 0: the file holds. 1: it does not, and the last line says where and why. 2: nothing could
be checked. The formats are described in docs/export.md, the hashes in docs/chain.md.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import re
import struct
import sys
import uuid
import zipfile
import zlib
from datetime import date
from functools import lru_cache
from typing import Any, BinaryIO, Iterator, NamedTuple, Tuple  # noqa: UP035 -- Python 3.8

# fmt: off
HEADER = (
    "format", "format_version", "tenant", "name", "created_at", "log_id", "from_seq", "to_seq",
    "prior_hash", "filters",
)
COLUMNS = (
    "seq", "event_id", "stream_type", "stream_id", "version", "type", "schema_version",
    "occurred_at", "recorded_at", "actor", "reason", "correlation_id", "causation_id",
    "traceparent", "origin", "data", "hash",
)
WORDS = {UnicodeDecodeError: "it is not UTF-8.", json.JSONDecodeError: "it is no JSON."}
# fmt: on
FOOTER = ("checkpoint", "sha256")
EVENTS, TABLE, NOTE, KEYS = "events.jsonl", "events.csv", "checkpoint.txt", "keys.txt"
FILES = (EVENTS, TABLE, NOTE, KEYS, "verify.py")  # of a bundle, each named in its manifest
MANIFEST, SIGNATURE = "manifest.json", "manifest.json.sig"
WHOLE_NUMBERS = ("seq", "version", "from_seq", "to_seq", "format_version")
MAY_BE_NULL = ("reason", "correlation_id", "causation_id", "traceparent", "origin")
LONGEST_LINE = 64 * 1024 * 1024
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z", re.ASCII)
HEX = re.compile(r"[0-9a-f]{64}")
ORIGIN = re.compile(r"^\S+/tenants/([a-z0-9-]+)$", re.MULTILINE)
BUNDLE = re.compile(r"\S+/bundles/([a-z0-9-]+)\nsha256 ([0-9a-f]{64})\n")
DASH = "\u2014"
LONGEST_TEXT = 1024 * 1024  # of a bundle's small files
CHUNK = 1024 * 1024
ZIP_BEGINS = (b"PK\x03\x04", b"PK\x05\x06")
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
# What a bundle's manifest says beside its list of files, and of which kind.
SAID: dict[str, Any] = {
    "format": str, "format_version": int, "tenant": str, "name": str, "log_id": str,
    "made_at": str, "made_by": str, "recorded_as_seq": int, "query": dict, "holds": str,
    "from_seq": int, "to_seq": int, "events": int, "head": dict, "schemas": dict,
    "signed_by": str, "files": list, "to_verify": list,
}  # fmt: skip
# Ed25519, as RFC 8032 numbers things: the field, the order of the base point, the curve's constant.
PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
ROOT = pow(2, (PRIME - 1) // 4, PRIME)  # of -1


class Damaged(Exception):
    """The file does not hold."""


class Unusable(Exception):
    """Nothing could be checked."""


class Key(NamedTuple):
    name: str
    id: bytes
    public: bytes


class Note(NamedTuple):
    """A checkpoint. signatures: (name, key's id, signature). body: what they sign."""

    tenant: str
    seq: int
    hash: str
    log_id: str
    recorded_at: str
    body: str
    signatures: tuple[tuple[str, bytes, bytes], ...]


def leaf(tenant: str, event: dict[str, Any]) -> bytes:
    """The digest of one event without its place, as docs/chain.md has it."""
    return hashlib.sha256(
        b"".join(
            (
                b"agentmesh.event.v1\0",
                field(uuid.UUID(event["event_id"]).bytes),
                field(tenant.encode()),
                text(event["stream_type"]),
                text(event["stream_id"]),
                field(struct.pack(">q", event["version"])),
                text(event["type"]),
                text(event["schema_version"]),
                field(struct.pack(">q", microseconds(event["occurred_at"]))),
                text(event["actor"]),
                text(event["reason"]),
                text(event["correlation_id"]),
                text(event["causation_id"]),
                text(event["traceparent"]),
                text(event["origin"]),
                text(event["data"]),
            )
        )
    ).digest()


def link(previous: bytes, event: dict[str, Any], of_event: bytes) -> bytes:
    place = struct.pack(">qq", event["seq"], microseconds(event["recorded_at"]))
    return hashlib.sha256(previous + place + of_event).digest()


def genesis(log_id: str) -> bytes:
    return hashlib.sha256(b"agentmesh.log.v1\0" + uuid.UUID(log_id).bytes).digest()


def field(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def text(value: str | None) -> bytes:
    return b"\xff\xff\xff\xff" if value is None else field(value.encode())


def microseconds(moment: str) -> int:
    """Since 1970-01-01T00:00:00Z. Raises ValueError."""
    match = MOMENT.fullmatch(moment)
    if match is None:
        raise ValueError(f"{moment[:40]!r} is no moment such as 2026-01-02T03:04:05.000006Z.")
    return seconds(match[1]) * 1_000_000 + int(match[2])


@lru_cache(maxsize=4096)
def seconds(moment: str) -> int:
    day = date(int(moment[:4]), int(moment[5:7]), int(moment[8:10]))
    hour, minute, second = int(moment[11:13]), int(moment[14:16]), int(moment[17:19])
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004 -- a day's
        raise ValueError(f"{moment} is no time of day.")
    days = day.toordinal() - date(1970, 1, 1).toordinal()
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def parsed(raw: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    """A line's object in the one spelling that an export has. Raises ValueError."""
    found = json.loads(raw.decode("utf-8"))
    if not isinstance(found, dict) or tuple(found) != keys:
        raise ValueError(f"it is no object with the keys {', '.join(keys)}.")
    for name, value in found.items():
        if name == "filters":
            continue
        kind = int if name in WHOLE_NUMBERS else str
        if type(value) is not kind and not (value is None and name in MAY_BE_NULL):
            raise ValueError(f"its {name} is no {'whole number' if kind is int else 'text'}.")
    if (json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n").encode() != raw:
        raise ValueError("it is not spelt as an export is: no blanks, no CR, no needless escapes.")
    for name in ("event_id", "log_id"):
        if name in found and str(uuid.UUID(found[name])) != found[name]:
            raise ValueError(f"its {name} is no UUID in lower case.")
    for name in ("hash", "prior_hash", "sha256"):
        if name in found and not HEX.fullmatch(found[name]):
            raise ValueError(f"its {name} is not 64 hexadecimal digits.")
    return found


def split_note(note: str) -> tuple[str, tuple[tuple[str, bytes, bytes], ...]]:
    """The body of a signed note, and its signatures. Raises ValueError."""
    body, _, signed = note.partition("\n\n")
    signatures = []
    for line in signed.splitlines():
        # No control characters in a name: it is shown on a terminal, and anybody can have put it.
        match = re.fullmatch(rf"{DASH} ([^\s+\x00-\x1f\x7f-\x9f]+) ([A-Za-z0-9+/=]+)", line)
        if match is None:
            raise ValueError("below a note's empty line stand signatures alone.")
        raw = base64.b64decode(match[2], validate=True)
        signatures.append((match[1], raw[:4], raw[4:]))
    return body if body.endswith("\n") else body + "\n", tuple(signatures)


def parse_note(note: str) -> Note:
    """Raises ValueError for what is no checkpoint."""
    body, signatures = split_note(note)
    lines = body.split("\n")
    origin = ORIGIN.fullmatch(lines[0])
    if len(lines) != 6 or origin is None or not re.fullmatch(r"[0-9]{1,19}", lines[1]):  # noqa: PLR2004
        raise ValueError("it is no checkpoint of a log.")
    digest = base64.b64decode(lines[2], validate=True)
    if not lines[3].startswith("log_id ") or not lines[4].startswith("recorded_at "):
        raise ValueError("it is no checkpoint of a log.")
    return Note(
        origin[1], int(lines[1]), digest.hex(), lines[3][7:], lines[4][12:], body, signatures
    )


def parse_key(verifier_key: str) -> Key:
    """`name+id+key`, as /api/v1/keys gives it."""
    try:
        name, key_id, encoded = verifier_key.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:
        name, key_id, raw = "", "", b""
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if len(raw) != 33 or raw[0] != 1 or expected.hex() != key_id:  # noqa: PLR2004 -- Ed25519
        raise Unusable(f"{verifier_key!r} is no verifier key: name+8 hex digits+base64.")
    return Key(name, expected, raw[1:])


def check_signatures(note: Note, keys: list[Key]) -> Key:
    """Whose signature is good. Raises Damaged unless one of the keys has signed the note."""
    return signer_of(note.body, note.signatures, keys, "tenants", "the checkpoint")


def signer_of(
    body: str,
    signatures: tuple[tuple[str, bytes, bytes], ...],
    keys: list[Key],
    of: str,
    named: str,
) -> Key:
    # A key vouches for the logs of its own name alone.
    its = [key for key in keys if body.startswith(f"{key.name}/{of}/")]
    by_id = {(key.name, key.id): key for key in its}
    known = [(by_id[each[:2]], each[2]) for each in signatures if each[:2] in by_id]
    if not known:
        asked = " or ".join(f"{key.name}+{key.id.hex()}" for key in keys)
        raise Damaged(f"{asked} has not signed {named}.")
    for key, signature in known:
        if not has_signed(key.public, signature, body.encode()):
            raise Damaged(f"the signature of {key.name} does not fit {named}.")
    return known[0][0]


def has_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Ed25519, as RFC 8032 has it (section 5.1.7, without the cofactor, as OpenSSL does).

    All that it computes with is public, so it need not hide how long it takes.
    """
    key, base = point(public), point((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"))
    factor = int.from_bytes(signature[32:], "little")
    if key is None or base is None or len(signature) != 64 or factor >= ORDER:  # noqa: PLR2004
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    x, y, z, t = key
    challenge = int.from_bytes(digest, "little") % ORDER
    found = added(times(factor, base), times(challenge, (-x % PRIME, y, z, -t % PRIME)))
    return packed(found) == signature[:32]


# A point of the curve: X, Y, Z and T, of which X/Z and Y/Z are its coordinates and T is XY/Z.
Point = Tuple[int, int, int, int]  # noqa: UP006 -- Python 3.8


def point(packed: bytes) -> Point | None:
    """The point that 32 bytes stand for; None when they stand for none."""
    number = int.from_bytes(packed, "little")
    y, is_odd = number & (2**255 - 1), number >> 255
    if len(packed) != 32 or y >= PRIME:  # noqa: PLR2004
        return None
    square = (y * y - 1) * pow(CURVE * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * ROOT % PRIME
    if (x * x - square) % PRIME or (x == 0 and is_odd):
        return None
    x = PRIME - x if x % 2 != is_odd else x
    return x, y, 1, x * y % PRIME


def packed(given: Point) -> bytes:
    x, y, z, _ = given
    scale = pow(z, -1, PRIME)
    x, y = x * scale % PRIME, y * scale % PRIME
    return (y | (x % 2) << 255).to_bytes(32, "little")


def added(one: Point, other: Point) -> Point:
    """Their sum; the formulas (RFC 8032, section 5.1.4) hold for a point and itself too."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % PRIME, (y1 + x1) * (y2 + x2) % PRIME
    c, d = 2 * CURVE * t1 * t2 % PRIME, 2 * z1 * z2 % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def times(number: int, given: Point) -> Point:
    found = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = added(found, given)
        given = added(given, given)
        number >>= 1
    return found


class Reading:
    """One pass over a file. `statements` say what was found, the last one in a word."""

    def __init__(self, file: BinaryIO, checkpoints: list[Note]) -> None:
        self.file = file
        self.checkpoints = checkpoints
        self.covered = hashlib.sha256()
        self.line = 0
        self.statements: list[str] = []
        self.events = self.chained = 0
        self.versions: dict[tuple[str, str], int] = {}
        self.recorded_at = -(2**63)
        self.known: dict[int, set[str]] = {}
        for note in checkpoints:
            self.known.setdefault(note.seq, set()).add(note.hash)
        self.met: set[int] = set()

    def run(self) -> Note:
        """The file's own checkpoint. Raises Damaged, with the line."""
        try:
            return self._run()
        except (Damaged, ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
            raise Damaged(f"line {self.line}: {WORDS.get(type(error), error)}") from error

    def _run(self) -> Note:
        self.header = parsed(self._next(), HEADER)
        self._check_header()
        self.seq = self.header["from_seq"] - 1
        self.tip = bytes.fromhex(self.header["prior_hash"])
        self._meet(self.seq, self.tip)
        for raw in self._events():
            event = parsed(raw, COLUMNS)
            try:
                self._check(event)
            except (Damaged, ValueError) as error:
                raise Damaged(f"seq {event['seq']}: {error}") from error
        return self._end()

    def _next(self) -> bytes:
        raw = self.file.readline(LONGEST_LINE)
        if not raw:
            raise Damaged("the file ends after it, without its checkpoint: it was cut off.")
        self.line += 1
        self.raw = raw
        if self.line == 1 and raw.startswith(b"\x1f\x8b"):
            raise Unusable("The file is compressed. Decompress it first (gunzip).")
        if not raw.endswith(b"\n"):
            raise Damaged("the file ends in the middle of it, or the line is endless.")
        if not raw.startswith(b'{"checkpoint":'):
            self.covered.update(raw)
        return raw

    def _events(self) -> Iterator[bytes]:
        while not self._next().startswith(b'{"checkpoint":'):
            yield self.raw

    def _check_header(self) -> None:
        header = self.header
        if (header["format"], header["format_version"]) != ("agentmesh-log", 1):
            raise Damaged("it is no header of an agentmesh-log of version 1.")
        microseconds(header["created_at"])
        first, last, filters = header["from_seq"], header["to_seq"], header["filters"]
        if not (1 <= first <= last or (first, last) == (1, 0)):
            raise Damaged(f"it has no events {first} to {last}.")
        if filters is not None and not (isinstance(filters, dict) and filters):
            raise Damaged("its filters are neither null nor an object.")
        if first == 1 and bytes.fromhex(header["prior_hash"]) != genesis(header["log_id"]):
            raise Damaged("its prior_hash does not follow from its log_id.")

    def _check(self, event: dict[str, Any]) -> None:
        seq, filtered = event["seq"], self.header["filters"] is not None
        if not filtered and seq != self.seq + 1:
            raise Damaged(f"event {self.seq + 1} is missing.")
        if not self.seq < seq <= self.header["to_seq"]:
            raise Damaged("it is out of place.")
        recorded_at = microseconds(event["recorded_at"])
        if recorded_at < self.recorded_at:
            raise Damaged("it was recorded before the event that it follows.")
        self._check_version(event, filtered)
        computed = link(self.tip, event, leaf(self.header["tenant"], event))
        if seq == self.seq + 1:
            if computed.hex() != event["hash"]:
                raise Damaged("its hash does not follow: it or its place was changed.")
            self.chained += 1
        self.events += 1
        self.seq, self.recorded_at, self.tip = seq, recorded_at, bytes.fromhex(event["hash"])
        self._meet(seq, self.tip)

    def _check_version(self, event: dict[str, Any], filtered: bool) -> None:
        stream, version = (event["stream_type"], event["stream_id"]), event["version"]
        before = self.versions.get(stream)
        if filtered or (before is None and self.header["from_seq"] > 1):
            fits = version > (before or 0)
        else:
            fits = version == (before or 0) + 1
        if not fits:
            raise Damaged(f"its version {version} does not follow in its stream.")
        self.versions[stream] = version

    def _meet(self, seq: int, tip: bytes) -> None:
        if seq in self.known:
            if self.known[seq] != {tip.hex()}:
                raise Damaged(f"event {seq} is not the one of your checkpoint.")
            self.met.add(seq)

    def _end(self) -> Note:
        footer = parsed(self.raw, FOOTER)
        self.note = footer["checkpoint"]
        note = parse_note(self.note)
        header, last = self.header, self.header["to_seq"]
        whole = header["filters"] is None
        if whole and self.seq != last:
            raise Damaged(f"the header promises events up to {last}; they end at {self.seq}.")
        if (note.tenant, note.log_id, note.seq) != (header["tenant"], header["log_id"], last):
            raise Damaged("the checkpoint is not the one of this log at its last event.")
        if self.seq == last and note.hash != self.tip.hex():
            raise Damaged(f"the checkpoint has another hash than event {last}.")
        recorded = microseconds(note.recorded_at)
        if last and self.events and self.seq == last and recorded != self.recorded_at:
            raise Damaged(f"the checkpoint has another time than event {last}.")
        if not last and note.recorded_at != header["created_at"]:
            raise Damaged("the checkpoint has another time than the log's beginning.")
        self.covered.update(self.raw[: -len('"}\n') - 64])
        if self.covered.hexdigest() != footer["sha256"]:
            raise Damaged("the SHA-256 of the file is another: something in it was changed.")
        if self.file.readline(1):
            self.line += 1
            raise Damaged("the file goes on after its checkpoint.")
        self._meet(last, bytes.fromhex(note.hash))
        self._settle_checkpoints()
        self._state()
        return note

    def _settle_checkpoints(self) -> None:
        for note in self.checkpoints:
            if note.log_id != self.header["log_id"]:
                raise Damaged(f"your checkpoint is of another log than this one, {note.log_id}.")
            if note.seq not in self.met:
                raise Damaged(
                    f"your checkpoint is of event {note.seq}, which is not in the file: the log "
                    f"was cut off, or this is not the part to compare."
                )
            self.statements.append(f"Your checkpoint of event {note.seq} fits.")

    def _state(self) -> None:
        header = self.header
        tenant, first, last = header["tenant"], header["from_seq"], header["to_seq"]
        tip = f"{last}-{self.tip.hex()[:8]}"
        if header["filters"] is not None:
            picked = json.dumps(header["filters"])  # escaped: whatever a terminal would obey
            self.statements.append(
                f"OK as far as it goes: {self.events} of events {first} to {last} of {tenant}, "
                f"picked by {picked}. {self.chained} follow the event before them; the others' "
                f"hashes, and what was left out, cannot be checked."
            )
        elif first > 1:
            self.statements.append(
                f"OK: events {first} to {last} of {tenant} follow one another up to {tip}. What "
                f"was before them is not in the file."
            )
        else:
            self.statements.append(
                f"OK: {tenant}, all {self.events} events from the log's beginning to {tip}."
            )


def notes_of(path: str, tenant: str) -> list[Note]:
    """The checkpoints of this tenant in a file that holds one or more."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- one import less
            whole = file.read()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", "it is not UTF-8")
        raise Unusable(f"{path} cannot be read: {why}.") from None
    starts = [match.start() for match in ORIGIN.finditer(whole)]
    texts = [whole[start:end].strip("\n") for start, end in zip(starts, [*starts[1:], None])]  # noqa: B905
    try:
        notes = [note for note in map(parse_note, texts) if note.tenant == tenant]
    except ValueError as error:
        raise Unusable(f"{path}: {error}") from None
    if not notes:
        raise Unusable(f"{path} holds no checkpoint of {tenant}.")
    return notes


def tenant_of(first_line: bytes) -> str:
    try:
        return str(json.loads(first_line.decode("utf-8"))["tenant"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


class Bundle:
    """A bundle's files, in a ZIP or in the folder that it was unpacked into."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.archive = None
        if not os.path.isdir(path):  # noqa: PTH112 -- one import less, here and below
            try:
                self.archive = zipfile.ZipFile(path)
            except (*UNREADABLE, ValueError, struct.error):
                raise Damaged("the ZIP file has no end: the download broke off.") from None
            self._check_names(self.archive.namelist())

    def _check_names(self, names: list[str]) -> None:
        for name in names:
            if name not in (*FILES, MANIFEST, SIGNATURE):
                raise Damaged(f"{json.dumps(name)} is no file of a bundle: somebody added it.")
            if names.count(name) > 1:
                raise Damaged(f"{name} is in it more than once.")

    def open(self, name: str) -> BinaryIO:
        try:
            if self.archive is not None:
                return self.archive.open(name)  # type: ignore[return-value]
            return open(os.path.join(self.path, name), "rb")  # noqa: PTH118, PTH123
        except (KeyError, FileNotFoundError):
            raise Damaged(f"{name} is missing.") from None
        except UNREADABLE:
            raise Damaged(f"{name} cannot be unpacked: it was changed.") from None

    def chunks(self, name: str) -> Iterator[bytes]:
        with self.open(name) as file:
            while True:
                try:
                    chunk = file.read(CHUNK)
                except UNREADABLE:
                    raise Damaged(f"{name} cannot be unpacked: it was changed.") from None
                if not chunk:
                    return
                yield chunk

    def small(self, name: str) -> bytes:
        found = b""
        for chunk in self.chunks(name):
            found += chunk
            if len(found) > LONGEST_TEXT:
                raise Damaged(f"{name} is longer than any that a bundle has.")
        return found

    def text(self, name: str) -> str:
        try:
            return self.small(name).decode("utf-8")
        except UnicodeDecodeError:
            raise Damaged(f"{name} is not UTF-8.") from None

    def digest(self, name: str) -> tuple[int, str]:
        """How many bytes the file has, and their SHA-256."""
        size, found = 0, hashlib.sha256()
        for chunk in self.chunks(name):
            size += len(chunk)
            found.update(chunk)
        return size, found.hexdigest()


def manifest_of(bundle: Bundle) -> dict[str, Any]:
    """What it says, once it has the form of one. Raises Damaged."""
    try:
        found: dict[str, Any] = json.loads(bundle.small(MANIFEST).decode("utf-8"))
        names = [each["name"] for each in found["files"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Damaged(f"{MANIFEST} cannot be read.") from None
    if (found.get("format"), found.get("format_version")) != ("agentmesh-audit-bundle", 1):
        raise Damaged(f"{MANIFEST} is not that of an audit bundle of version 1.")
    for name, kind in SAID.items():
        if type(found.get(name)) is not kind:
            raise Damaged(f"{MANIFEST} does not say its {name}.")
    if sorted(map(str, names)) != sorted(FILES):
        raise Damaged(f"{MANIFEST} does not name the files of a bundle, each once.")
    return found


def check_manifest(bundle: Bundle, tenant: str, keys: list[Key]) -> Key:
    """Who signed it. Raises Damaged."""
    try:
        body, signatures = split_note(bundle.text(SIGNATURE))
    except ValueError as error:
        raise Damaged(f"{SIGNATURE}: {error}") from None
    said = BUNDLE.fullmatch(body)
    if said is None or said[1] != tenant:
        raise Damaged(f"{SIGNATURE} is no signature of this bundle.")
    if said[2] != hashlib.sha256(bundle.small(MANIFEST)).hexdigest():
        raise Damaged(f"{MANIFEST} is not the one that was signed: it was changed.")
    return signer_of(body, signatures, keys, "bundles", MANIFEST)


def check_files(bundle: Bundle, manifest: dict[str, Any], earlier: list[Note]) -> Reading:
    """Raises Damaged, with the file, and of the events the line."""
    wrong = [
        each["name"]
        for each in manifest["files"]
        if bundle.digest(each["name"]) != (each.get("bytes"), each.get("sha256"))
    ]
    with bundle.open(EVENTS) as file:
        reading = Reading(file, earlier)
        try:
            reading.run()  # first, since it names the place
        except Damaged as damage:
            raise Damaged(f"{EVENTS}: {damage}") from None
    if wrong:
        raise Damaged(f"{wrong[0]}: its SHA-256 is not the manifest's: it was changed.")
    header = reading.header
    found = {"events": reading.events, "holds": held(header, manifest["head"].get("seq"))}
    for name in ("tenant", "name", "log_id", "from_seq", "to_seq"):
        found[name] = header[name]
    for name, value in found.items():
        if manifest[name] != value:
            raise Damaged(f"{MANIFEST}: its {name} is not that of {EVENTS}.")
    if bundle.text(NOTE) != reading.note:
        raise Damaged(f"{NOTE} is not the checkpoint of {EVENTS}.")
    check_table(bundle)
    return reading


def held(header: dict[str, Any], head: object) -> str:
    """How much of the log the file has, in the manifest's word. head: the last seq there was."""
    if header["filters"] is not None:
        return "picked"
    return "whole" if header["from_seq"] == 1 and header["to_seq"] == head else "range"


def check_table(bundle: Bundle) -> None:
    """The CSV tells the same events as the JSONL. Raises Damaged, with the row."""
    longest = csv.field_size_limit(LONGEST_LINE)
    number = 1
    with bundle.open(EVENTS) as events, bundle.open(TABLE) as table:
        rows = csv.reader(io.TextIOWrapper(table, encoding="utf-8-sig", newline=""))
        try:
            fits = tuple(next(rows, ())) == COLUMNS
            for line in lines_of(events):
                event, number = json.loads(line), number + 1
                row = next(rows, [])
                fits = fits and len(row) == len(COLUMNS)
                fits = fits and all(same(cell, event[name]) for cell, name in zip(row, COLUMNS))  # noqa: B905
                if not fits:
                    break
            fits = fits and next(rows, None) is None
        except (csv.Error, UnicodeDecodeError):
            fits = False
        finally:
            csv.field_size_limit(longest)  # which is everybody's in this process
    if not fits:
        raise Damaged(f"{TABLE}: row {number} does not say what {EVENTS} says.")


def lines_of(events: BinaryIO) -> Iterator[bytes]:
    """The events' lines of a file that was checked."""
    events.readline(LONGEST_LINE)
    for line in iter(lambda: events.readline(LONGEST_LINE), b""):
        if line.startswith(b'{"checkpoint":'):
            return
        yield line


def same(cell: str, value: object) -> bool:
    """Whether the cell holds the value, with or without the apostrophe against formulas."""
    text_ = "" if value is None else str(value)
    return cell in (text_, f"'{text_}")


def keys_in(bundle: Bundle) -> list[Key]:
    lines = bundle.text(KEYS).splitlines()
    try:
        found = [parse_key(line) for line in lines if line and not line.startswith("#")]
    except Unusable:
        raise Damaged(f"{KEYS} holds what is no verifier key.") from None
    if not found:
        raise Damaged(f"{KEYS} holds no verifier key.")
    return found


def check_bundle(path: str, keys: list[Key], note_file: str | None) -> list[str]:
    """What was found, the verdict last. Raises Damaged, Unusable, OSError."""
    bundle = Bundle(path)
    manifest = manifest_of(bundle)
    tenant = manifest["tenant"]
    trusted = keys or keys_in(bundle)
    signer = check_manifest(bundle, tenant, trusted)
    earlier = notes_of(note_file, tenant) if note_file else []
    reading = check_files(bundle, manifest, earlier)
    check_signatures(parse_note(reading.note), trusted)
    for note in earlier if keys else ():
        check_signatures(note, keys)
    *before, verdict = reading.statements
    name = f"{signer.name}+{signer.id.hex()}"
    signed = f"good, of {name}."
    if not keys:
        signed = (
            f"fits the key {name}, which came in the bundle, so that anybody can have made both. "
            f"Give --key with the one that you got on another way."
        )
    # Escaped, as JSON is: whatever a terminal would obey.
    by, at, query = (json.dumps(manifest[each]) for each in ("made_by", "made_at", "query"))
    return [
        f"Taken by {by} at {at}, recorded as event {manifest['recorded_as_seq']}. Query: {query}.",
        *before,
        f"Files: all {len(FILES)} as the manifest says; {TABLE} says what {EVENTS} says.",
        f"Signature: {signed}",
        verdict,
    ]


def check(path: str, keys: list[Key], note_file: str | None) -> list[str]:
    """What was found, the verdict last. Raises Damaged, Unusable, OSError."""
    if os.path.isdir(path):  # noqa: PTH112
        return check_bundle(path, keys, note_file)
    with open(path, "rb") as file:  # noqa: PTH123
        if file.read(4) in ZIP_BEGINS:
            return check_bundle(path, keys, note_file)
        file.seek(0)
        earlier = notes_of(note_file, tenant_of(file.readline(LONGEST_LINE))) if note_file else []
        file.seek(0)
        reading = Reading(file, earlier)
        note = reading.run()
    *before, verdict = reading.statements
    if keys:
        for each in (note, *earlier):
            check_signatures(each, keys)
        signed = f"Signature: good, of {' or '.join(key.name for key in keys)}."
    else:
        names = ", ".join(name for name, _, _ in note.signatures) or "nobody"
        signed = f"Signature: of {names}, not checked. Give --key to have it checked."
    return [*before, signed, verdict]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Check an AgentMesh export without AgentMesh.")
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    is_unpacked = os.path.exists(os.path.join(here, MANIFEST))  # noqa: PTH110, PTH118
    parser.add_argument(
        "file",
        nargs="?" if is_unpacked else None,
        default=here,
        help="what export_log wrote, or GET /export; an audit bundle, unpacked or not",
    )
    parser.add_argument(
        "--key", action="append", default=[], help="a verifier key; may be repeated"
    )
    parser.add_argument("--checkpoint", metavar="NOTE_FILE", help="what you got earlier")
    given = parser.parse_args(arguments)
    try:
        found = check(given.file, [parse_key(key) for key in given.key], given.checkpoint)
    except Damaged as damage:
        sys.stdout.write(f"DAMAGED: {given.file}: {damage}\n")
        return 1
    except Unusable as problem:
        sys.stdout.write(f"NOT CHECKED: {problem}\n")
        return 2
    except OSError as error:
        sys.stdout.write(f"NOT CHECKED: {given.file} cannot be read: {error.strerror}.\n")
        return 2
    sys.stdout.write("\n".join(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
