"""Reading an export that shall become a log: every line checked, with its number, as it comes.

    arriving = Arriving(file)      the header
    for row in arriving: …         the events, as rows of the table
    arriving.ending                the checkpoint, once the rows have been walked to the end

Nothing is believed: hashes are computed again from the line itself. What is remembered is one line
and the newest version of each stream.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, TypeVar

import msgspec

from events import signing
from events.cloudevents import AGENT_STREAM
from events.encoding import UnfitFact, refuse_unfit_payload
from events.facts import DomainEvent, Fact
from events.log import chain, checkpoint
from events.log.checkpoint import Checkpoint
from events.notes import Key
from events.registry import UnknownFact, decoder
from events.tenants import STREAM as TENANT_STREAM
from events.tenants import TENANT_NAME_LENGTH, is_slug
from events.transfer.format import (
    FORMAT,
    FORMAT_VERSION,
    Footer,
    Header,
    Line,
    encoded,
    footer_from_digest,
    footer_up_to_digest,
)

LONGEST_LINE = 16 * 1024 * 1024  # bytes; twice the largest request that could have made an event
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_FOOTER = b'{"checkpoint":'
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_NUL = b"\\u0000"
# What PostgreSQL's columns hold, and SQLite's would hold beyond.
_LENGTHS = (
    ("stream_type", 32),
    ("stream_id", 256),
    ("actor", 300),
    ("correlation_id", 255),
    ("causation_id", 255),
    ("traceparent", 255),
)
_TEXTS = (*(name for name, _ in _LENGTHS), "reason", "origin")

T = TypeVar("T", Header, Line, Footer)
Row = tuple[Any, ...]  # the values of `events.log.postgresql.EVENT_COLUMNS`, in that order


class BadFile(Exception):
    """The file is no whole export of a log. line: where that shows, the first line being 1."""

    def __init__(self, line: int, why: str) -> None:
        # What the file says of itself must not speak to the terminal that shows it.
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in why)
        super().__init__(f"line {line}: {shown}")
        self.line = line
        self.why = shown


@dataclass(frozen=True, slots=True)
class Ending:
    """How the file ends. signed_by: the key that we know and that has signed; signers: the names
    of all who have."""

    note: str
    checkpoint: Checkpoint
    signed_by: Key | None
    signers: tuple[str, ...]


class Arriving:
    """An export being read from `file`. Everything here raises BadFile."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._covered = hashlib.sha256()
        self.line = 0
        self.header = self._read_header()
        self.seq = 0
        self.log_began_at = _moment(self.header.created_at)
        self.prior_hash = self.hash = chain.genesis(self.header.log_id)
        self.recorded_at = self.log_began_at
        self._versions: dict[tuple[str, str], int] = {}
        self.ending: Ending | None = None

    @property
    def streams(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[Row]:
        while True:
            raw = self._next_line()
            if raw.startswith(_FOOTER):
                self._end(raw)
                return
            self._covered.update(raw)
            try:
                row = self._row(raw)
            except BadFile:
                raise
            except (ValueError, UnknownFact, msgspec.MsgspecError, RecursionError) as error:
                raise self._bad(f"{error}") from error
            yield row

    def _bad(self, why: str) -> BadFile:
        return BadFile(self.line, why)

    def _next_line(self) -> bytes:
        raw = self._file.readline(LONGEST_LINE + 1)
        if not raw:
            raise self._bad("the file ends here, without its checkpoint: it was cut off.")
        self.line += 1
        if not raw.endswith(b"\n"):
            if len(raw) > LONGEST_LINE:
                raise self._bad(f"it has more than {LONGEST_LINE:,} bytes.")
            raise self._bad("the file ends in the middle of it: it was cut off.")
        if raw.endswith(b"\r\n"):
            raise self._bad("it ends in CR LF: something rewrote the file. Copy it as it is.")
        return raw

    def _read_header(self) -> Header:
        first = self._file.readline(LONGEST_LINE + 1)
        self.line = 1
        if first.startswith(_GZIP):
            raise self._bad("the file is compressed. Decompress it first (gunzip).")
        if first.startswith(_BOM):
            raise self._bad("it begins with a byte order mark: something rewrote the file.")
        if first.endswith(b"\r\n"):
            raise self._bad("it ends in CR LF: something rewrote the file. Copy it as it is.")
        try:
            said = msgspec.json.decode(first)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            said = None
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise self._bad("it is no header of an exported log (export_log makes one).")
        if said.get("format_version") != FORMAT_VERSION:
            raise self._bad(
                f"its format_version is not {FORMAT_VERSION}, the only one that this release reads."
            )
        try:
            header = _strict(Header, first)
            self._check_header(header)
        except (ValueError, msgspec.MsgspecError) as error:
            raise self._bad(str(error)) from error
        self._covered.update(first)
        return header

    def _check_header(self, header: Header) -> None:
        if not is_slug(header.tenant):
            raise self._bad("its tenant is no slug.")
        if not 1 <= len(header.name) <= TENANT_NAME_LENGTH or not header.name.isprintable():
            raise self._bad(f"a tenant's name has 1 to {TENANT_NAME_LENGTH} printable characters.")
        _moment(header.created_at)
        if header.filters is not None:
            raise self._bad(
                "the file holds only what fitted a filter, and no log has holes. Import an export "
                "that was made without filters."
            )
        if header.from_seq != 1:
            raise self._bad(
                f"the file begins with event {header.from_seq}. Import an export from event 1."
            )
        if header.prior_hash != chain.genesis(header.log_id).hex():
            raise self._bad("its prior_hash is not the one with which a log of its log_id begins.")

    def _row(self, raw: bytes) -> Row:
        line = _strict(Line, raw)
        if line.seq != self.seq + 1:
            raise self._bad(f"event {self.seq + 1} is missing; here is {line.seq}.")
        stream = (line.stream_type, line.stream_id)
        following = self._versions.get(stream, 0) + 1
        if line.version != following:
            raise self._bad(
                f"version {following} of {line.stream_id} is missing; here is {line.version}."
            )
        occurred_at, recorded_at = _moment(line.occurred_at), _moment(line.recorded_at)
        if recorded_at < self.recorded_at:
            raise self._bad("it was recorded before what it follows.")
        _refuse_unfit_columns(line, raw)
        tip = self._link(line, occurred_at, recorded_at)
        if tip.hex() != line.hash:
            raise self._bad(
                "its hash does not follow: it, its place or the log's own id was changed."
            )
        self._check_fact(line, occurred_at)
        self._versions[stream] = following
        self.seq, self.recorded_at = line.seq, recorded_at
        self.prior_hash, self.hash = self.hash, tip
        return (
            line.event_id,
            self.header.tenant,
            line.stream_type,
            line.stream_id,
            line.version,
            line.type,
            line.schema_version,
            occurred_at,
            line.actor,
            line.reason,
            line.correlation_id,
            line.causation_id,
            line.traceparent,
            line.origin,
            line.data,
            line.seq,
            recorded_at,
            tip,
        )

    def _link(self, line: Line, occurred_at: datetime, recorded_at: datetime) -> bytes:
        leaf = chain.leaf(
            event_id=line.event_id,
            tenant=self.header.tenant,
            stream_type=line.stream_type,
            stream_id=line.stream_id,
            version=line.version,
            type=line.type,
            schema_version=line.schema_version,
            occurred_at=occurred_at,
            actor=line.actor,
            reason=line.reason,
            correlation_id=line.correlation_id,
            causation_id=line.causation_id,
            traceparent=line.traceparent,
            origin=line.origin,
            data=line.data,
        )
        return chain.link(self.hash, line.seq, recorded_at, leaf)

    def _check_fact(self, line: Line, occurred_at: datetime) -> None:
        """It is a fact that this release reads, and says of itself what its columns say of it."""
        try:
            fact = decoder(line.type, line.schema_version)(line.data)
        except msgspec.MsgspecError as error:
            raise self._bad(f"its data is no {line.type} {line.schema_version}: {error}") from error
        if _home(fact, self.header.tenant) != (line.stream_type, line.stream_id):
            raise self._bad(f"its data belongs to another stream than {line.stream_id}.")
        # A fact that named another tenant would lead commands into that one.
        if getattr(fact, "tenant_id", self.header.tenant) != self.header.tenant:
            raise self._bad("its data names another tenant.")
        if fact.occurred_at != occurred_at:
            raise self._bad("its data occurred at another moment than its occurred_at.")

    def _end(self, raw: bytes) -> None:
        try:
            footer = _strict(Footer, raw)
            stands, note = checkpoint.read_note(footer.checkpoint)
            signed_by = note.signed_by(stands.of_its_name(signing.keys()))
        except (ValueError, msgspec.MsgspecError) as error:
            raise self._bad(f"{error}") from error
        if self.seq != self.header.to_seq:
            raise self._bad(f"the header promises {self.header.to_seq} events; {self.seq} came.")
        log = (self.header.tenant, self.header.log_id, self.seq, self.hash, self.recorded_at)
        if log != (stands.tenant, stands.log_id, stands.seq, stands.hash, stands.recorded_at):
            raise self._bad("the checkpoint is not the one of this log at its last event.")
        self._covered.update(footer_up_to_digest(footer.checkpoint))
        if self._covered.hexdigest() != footer.sha256:
            raise self._bad("the file's SHA-256 is another one: something in it was changed.")
        if self._file.readline(1):
            self.line += 1
            raise self._bad("the file goes on after its checkpoint.")
        signers = tuple(dict.fromkeys(name for name, _, _ in note.signatures))
        self.ending = Ending(footer.checkpoint, stands, signed_by, signers)


def _home(fact: Fact, tenant: str) -> tuple[str, str]:
    """Type and id of the stream on which such a fact stands."""
    if isinstance(fact, DomainEvent):
        return AGENT_STREAM, fact.agent_id
    return TENANT_STREAM, tenant


def _strict(kind: type[T], raw: bytes) -> T:
    """The line in its one spelling. Raises ValueError or msgspec.MsgspecError."""
    found = _decode(kind, raw)
    if isinstance(found, Footer):
        spelt = footer_up_to_digest(found.checkpoint) + footer_from_digest(found.sha256)
    else:
        spelt = encoded(found)
    if spelt != raw:
        raise ValueError("it is not spelt as an export is: keys in their order, no blanks.")
    return found


_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Header, Line, Footer)
}


def _decode(kind: type[T], raw: bytes) -> T:
    try:
        found: T = _DECODERS[kind].decode(raw)
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8.") from error
    return found


def _moment(text: str) -> datetime:
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:  # a day or an hour that there is not
        pass
    raise ValueError(f"{text[:40]!r} is no moment such as 2026-01-02T03:04:05.000006Z.")


def _refuse_unfit_columns(line: Line, raw: bytes) -> None:
    for name, length in _LENGTHS:
        value = getattr(line, name)
        if value is not None and len(value) > length:
            raise ValueError(f"its {name} has more than {length} characters.")
    if _NUL in raw:
        for name in _TEXTS:
            if "\0" in (getattr(line, name) or ""):
                raise ValueError(f"its {name} holds a NUL character.")
    try:
        refuse_unfit_payload(line.data)
    except UnfitFact as error:
        raise ValueError(f"its data {error}") from error
