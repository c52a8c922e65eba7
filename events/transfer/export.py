"""Exporting a log: a fixed part of it as a stream of bytes, in constant memory.

    export = of("acme")                      fixed now: what is appended meanwhile is not in it
    for chunk in jsonl(export): …            the file; Damaged in the middle of it is no file

Between two chunks nothing is held open, so a slow reader costs no connection.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain as joined

from events import timeline
from events.log import chain, checkpoint
from events.log.errors import TenantUnknown
from events.log.verify import Damaged
from events.models import Event, SignedCheckpoint, Tenant
from events.moments import rfc3339
from events.tenants import Refused
from events.transfer import spreadsheet, stored
from events.transfer.format import (
    Header,
    Line,
    encoded,
    footer_from_digest,
    footer_up_to_digest,
)
from events.wanted import Wanted

PAGE = 1_000  # events per question, at most
FIRST_PAGE = 100
PAGE_BYTES = 4 * 1024 * 1024  # of data in one page, judged by the page before it
FILTERED_PAGE = 500

Seen = Callable[[list[Line]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Events from_seq … to_seq of a log as it stands, or those of them that fit `wanted`.

    prior_hash and hash: of the events before from_seq and at to_seq, 32 bytes. note: the
    checkpoint at to_seq. filters: as they were asked for, to be said in the file.
    """

    tenant: Tenant
    from_seq: int
    to_seq: int
    prior_hash: bytes
    hash: bytes
    note: str
    wanted: Wanted | None = None
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def header(self) -> Header:
        return Header(
            tenant=self.tenant.slug,
            name=self.tenant.name,
            created_at=rfc3339(self.tenant.created_at),
            log_id=uuid.UUID(str(self.tenant.log_id)),
            from_seq=self.from_seq,
            to_seq=self.to_seq,
            prior_hash=self.prior_hash.hex(),
            filters=dict(self.filters) or None,
        )

    def file_name(self, ending: str) -> str:
        part = "-filtered" if self.filters else ""
        return f"{self.tenant.slug}-{self.from_seq}-{self.to_seq}{part}.{ending}"


def of(
    tenant: str,
    *,
    from_seq: int | None = None,
    to_seq: int | None = None,
    wanted: Wanted | None = None,
    filters: Mapping[str, str] | None = None,
) -> Export:
    """What an export of the log as it stands now will hold; both bounds are included.

    `wanted` and `filters` say the same, for the reading and for the file's header. Raises Refused
    for a part that the log has not, TenantUnknown, Damaged.
    """
    owner = Tenant.objects.filter(slug=tenant).first()
    if owner is None:
        raise TenantUnknown(tenant)
    last = checkpoint.at(tenant).seq
    first = 1 if from_seq is None else from_seq
    end = last if to_seq is None else to_seq
    if not last and (from_seq or to_seq) is not None:
        raise Refused(f"{tenant}'s log is empty. Export it without naming a part.")
    if last and not 1 <= first <= end <= last:
        raise Refused(f"{tenant}'s log has events 1 to {last}, and no part {first} to {end}.")
    end_of_it = _stands(tenant, end)
    return Export(
        tenant=owner,
        from_seq=first,
        to_seq=end,
        prior_hash=_stands(tenant, first - 1).hash,
        hash=end_of_it.hash,
        note=_kept_note(tenant, end) or end_of_it.note(),
        wanted=wanted if filters else None,
        filters=filters or {},
    )


def _stands(tenant: str, seq: int) -> checkpoint.Checkpoint:
    try:
        return checkpoint.at(tenant, seq)
    except LookupError as error:
        raise Damaged(tenant, seq, "it is missing.") from error


def _kept_note(tenant: str, seq: int) -> str | None:
    """The first note that was kept of the log at `seq`: one that an import brought along stays the
    note, whatever key signs here now, so that a copy of a copy is the same file."""
    notes = SignedCheckpoint.objects.filter(tenant=tenant, seq=seq).order_by("pk")
    return notes.values_list("note", flat=True).first()


def jsonl(export: Export, seen: Seen = lambda _: None) -> Iterator[bytes]:
    """The file of this export; a chunk may be empty. seen: told of each page's events. Raises
    Damaged where the log has a hole or its chain breaks."""
    covered = hashlib.sha256()
    for chunk in joined(
        (encoded(export.header),),
        (_file_part(lines, seen) for lines in _pages(export)),
        (footer_up_to_digest(export.note),),
    ):
        covered.update(chunk)
        yield chunk
    yield footer_from_digest(covered.hexdigest())


def _file_part(lines: list[Line], seen: Seen) -> bytes:
    seen(lines)
    return b"".join(map(encoded, lines))


def csv(export: Export) -> Iterator[bytes]:
    """The same events for spreadsheets; see `spreadsheet`. Raises Damaged like `jsonl`."""
    yield spreadsheet.beginning()
    for lines in _pages(export):
        yield spreadsheet.rows(lines)


def _pages(export: Export) -> Iterator[list[Line]]:
    """Pages of what the export holds. Of one that is picked a page may be empty: nobody has to wait
    for a rare event, or to read on for whom has left, longer than a page takes."""
    if export.wanted is None:
        return _all_pages(export)
    return _fitting_pages(export, export.wanted)


def _all_pages(export: Export) -> Iterator[list[Line]]:
    slug, tip, seq = export.tenant.slug, export.prior_hash, export.from_seq - 1
    limit = min(PAGE, FIRST_PAGE)
    while seq < export.to_seq:
        rows = stored.page(slug, seq, export.to_seq, limit)
        largest = max((len(row.line.data) for row in rows), default=1)
        limit = max(1, min(PAGE, PAGE_BYTES // largest))
        for row in rows:
            seq += 1
            if row.line.seq != seq:
                raise Damaged(slug, seq, f"it is missing; the next event is {row.line.seq}.")
            tip = chain.link_encoded(tip, seq, row.recorded_at, row.leaf)
            if row.line.hash != tip.hex():
                raise Damaged(slug, seq, "its hash does not follow: it or its place was changed.")
        if not rows:
            raise Damaged(slug, seq + 1, "it is missing.")
        yield [row.line for row in rows]
    if tip != export.hash:
        raise Damaged(slug, seq, "the head has another hash than the last event.")


def _fitting_pages(export: Export, wanted: Wanted) -> Iterator[list[Line]]:
    after: int | None = export.from_seq - 1
    while after is not None:
        found = timeline.page(
            export.tenant.slug, wanted, head=export.to_seq, after=after, limit=FILTERED_PAGE
        )
        yield _lines(found.rows)
        after = found.next


def _lines(rows: list[Event]) -> list[Line]:
    return [stored.line_of(row) for row in rows]
