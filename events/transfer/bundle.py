"""An audit bundle: what somebody asked for of a log, as one ZIP that proves itself to a stranger.

    events.jsonl        the export, as `export` writes it
    events.csv          the same events for spreadsheets
    checkpoint.txt      the signed note of the log at the export's end
    keys.txt            the verifier keys
    verify.py           the standalone verifier
    manifest.json       who took it, when, what was asked for, the SHA-256 of every file
    manifest.json.sig   the manifest's signature, a signed note over its SHA-256

It is made while it is taken, in constant memory and without a file on the disk: the events are read
twice, since in a ZIP one file follows the other. docs/export.md specifies it for strangers.
"""

import hashlib
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from events import signing, verify_export
from events.facts import utc_now
from events.log import checkpoint
from events.log.places import seq_before
from events.moments import rfc3339
from events.notes import Signer
from events.signing import NoSigningKey
from events.transfer import export
from events.transfer.export import Export
from events.transfer.format import Line
from events.wanted import Wanted

FORMAT = "agentmesh-audit-bundle"
FORMAT_VERSION = 1
ENDING = "audit.zip"
# The quickest: the file is made while somebody waits, and hashes have nothing to gain.
LEVEL = 1
# Of more events nobody knows whether they stay below 2 GiB, with payloads of 64 KiB. Below that the
# plain form, which every program unpacks.
MOST_IN_A_PLAIN_ZIP = 10_000
TIMES = frozenset({"since", "until"})
FILE_MODE = 0o644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle will hold. query: as it was asked for, in words of the API's parameters.

    head: the log's end when it was asked for.
    """

    export: Export
    query: Mapping[str, str]
    head: checkpoint.Checkpoint
    signer: Signer

    @property
    def holds(self) -> str:
        if self.export.wanted is not None:
            return "picked"
        is_whole = self.export.from_seq == 1 and self.export.to_seq == self.head.seq
        return "whole" if is_whole else "range"

    @property
    def file_name(self) -> str:
        return self.export.file_name(ENDING)


def of(
    tenant: str,
    *,
    query: Mapping[str, str],
    wanted: Wanted | None = None,
    filters: Mapping[str, str] | None = None,
    from_seq: int | None = None,
    to_seq: int | None = None,
) -> Bundle:
    """What a bundle of the log as it stands now will hold; words as in `export.of`.

    Where nothing but a time is asked for, it is a part of the log without holes, which a stranger
    can follow from hash to hash. Raises NoSigningKey, and what `export.of` raises.
    """
    signer = signing.signer()
    if signer is None:
        raise NoSigningKey
    head = checkpoint.at(tenant)
    part = _part_between(head, wanted, from_seq, to_seq) if wanted and filters else None
    if part is not None:
        from_seq, to_seq = part
        if filters and filters.keys() <= TIMES:
            wanted, filters = None, None
    chosen = export.of(tenant, from_seq=from_seq, to_seq=to_seq, wanted=wanted, filters=filters)
    # Signed now, by the key that signs the manifest: one that an import brought along is another's.
    here = checkpoint.at(tenant, chosen.to_seq)
    return Bundle(
        export=replace(chosen, note=signer.sign(str(here))),
        query=query,
        head=head,
        signer=signer,
    )


def _part_between(
    head: checkpoint.Checkpoint, wanted: Wanted, from_seq: int | None, to_seq: int | None
) -> tuple[int, int] | None:
    """The seqs of a time; None where nothing was recorded in it, of which there is no part, and
    where no time is asked for."""
    if wanted.since is None and wanted.until is None:
        return None
    low, high = from_seq or 1, head.seq if to_seq is None else to_seq
    if wanted.since is not None:
        low = max(low, seq_before(head.tenant, wanted.since) + 1)
    if wanted.until is not None:
        high = min(high, seq_before(head.tenant, wanted.until))
    return (low, high) if low <= high else None


def chunks(bundle: Bundle, *, by: str, recorded_as_seq: int) -> Iterator[bytes]:
    """The file; a chunk may be empty. by: the actor who takes it, recorded_as_seq: where the log
    has that. Raises Damaged in the middle, like `export.jsonl`, and then it is no file."""
    now = utc_now()
    sink = _Sink()
    written = _Written()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name, parts in _files(bundle, written):
            entry = _entry(name, now)
            is_large = bundle.export.to_seq - bundle.export.from_seq >= MOST_IN_A_PLAIN_ZIP
            with archive.open(entry, "w", force_zip64=is_large) as file:
                for part in parts:
                    file.write(part)
                    written.add(name, part)
                    yield sink.taken()
        manifest = _manifest(bundle, written, by=by, at=now, recorded_as_seq=recorded_as_seq)
        archive.writestr(_entry(verify_export.MANIFEST, now), manifest)
        archive.writestr(_entry(verify_export.SIGNATURE, now), _signature(bundle, manifest))
    yield sink.taken()


class _Sink:
    """What a ZIP is written to; it cannot go back, so sizes follow each file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes, /) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """There is nothing to close."""

    def taken(self) -> bytes:
        """All that was written since the last time."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


class _Written:
    """What the manifest tells of the files, gathered while they are written."""

    def __init__(self) -> None:
        self.digests = {name: hashlib.sha256() for name in verify_export.FILES}
        self.sizes = dict.fromkeys(verify_export.FILES, 0)
        self.schemas: dict[str, set[str]] = defaultdict(set)
        self.events = 0

    def add(self, name: str, part: bytes) -> None:
        self.digests[name].update(part)
        self.sizes[name] += len(part)

    def note(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.events += 1
            self.schemas[line.type].add(line.schema_version)


def _files(bundle: Bundle, written: _Written) -> Iterator[tuple[str, Iterable[bytes]]]:
    """In the order of the file, each with its parts; to be used up one after the other."""
    yield verify_export.EVENTS, export.jsonl(bundle.export, seen=written.note)
    yield verify_export.TABLE, export.csv(bundle.export)
    yield verify_export.NOTE, [bundle.export.note.encode()]
    yield verify_export.KEYS, [_keys()]
    yield "verify.py", [Path(verify_export.__file__).read_bytes()]


def _keys() -> bytes:
    lines = [
        "# Whose signatures count; the first one signed this bundle. These came with it: compare",
        "# them with what you got on another way, such as /api/v1/keys.",
        *map(str, signing.keys()),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _entry(name: str, at: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, at.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = FILE_MODE
    entry.create_system = 3  # Unix, whose rights these are
    return entry


def _manifest(
    bundle: Bundle, written: _Written, *, by: str, at: datetime, recorded_as_seq: int
) -> bytes:
    chosen, header = bundle.export, bundle.export.header
    key = bundle.signer.key
    said: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "tenant": header.tenant,
        "name": header.name,
        "log_id": str(header.log_id),
        "made_at": rfc3339(at),
        "made_by": by,
        "recorded_as_seq": recorded_as_seq,
        "query": dict(bundle.query),
        "holds": bundle.holds,
        "from_seq": chosen.from_seq,
        "to_seq": chosen.to_seq,
        "events": written.events,
        "head": {
            "seq": bundle.head.seq,
            "hash": bundle.head.hash.hex(),
            "recorded_at": rfc3339(bundle.head.recorded_at),
        },
        "schemas": {type_: sorted(found) for type_, found in sorted(written.schemas.items())},
        "signed_by": f"{key.name}+{key.id.hex()}",
        "files": [
            {"name": name, "bytes": written.sizes[name], "sha256": digest.hexdigest()}
            for name, digest in written.digests.items()
        ],
        "to_verify": [
            "Get the verifier key (name+id+key) of the installation on another way than this file.",
            f"Run with Python 3.8 or newer: python3 verify.py {bundle.file_name} --key KEY",
            "Or check it with events/verify_export.py of AgentMesh's source, or with your own.",
        ],
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n"


def _signature(bundle: Bundle, manifest: bytes) -> str:
    """Over the name and the tenant too, so that it vouches for nothing else."""
    digest = hashlib.sha256(manifest).hexdigest()
    tenant = bundle.export.tenant.slug
    return bundle.signer.sign(f"{bundle.signer.name}/bundles/{tenant}\nsha256 {digest}\n")
