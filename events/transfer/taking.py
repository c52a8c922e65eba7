"""Somebody takes a copy of a log: what it holds is fixed, the log tells of it, and then it begins.

copy = copy_of("acme", Asked("bundle", wanted, filters))     nothing is recorded yet
for chunk in copy.take(by=context): …                        recorded when `take` returns
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from events.log.proposal import Context
from events.tenant_facts import LogExported
from events.tenants import record
from events.transfer import bundle, export
from events.transfer.export import Export
from events.wanted import Wanted

Chunks = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Asked:
    """format: `jsonl`, `csv` or `bundle`. `wanted` and `filters` say the same, the latter as it was
    typed, by the names of the API's parameters; both seqs are included."""

    format: str
    wanted: Wanted
    filters: Mapping[str, str]
    from_seq: int | None = None
    to_seq: int | None = None

    @property
    def query(self) -> dict[str, str]:
        seqs = {"from_seq": self.from_seq, "to_seq": self.to_seq}
        return {**self.filters, **{name: str(seq) for name, seq in seqs.items() if seq}}


@dataclass(frozen=True, slots=True)
class Copy:
    """What would be taken. begin: makes the file, told who takes it and the seq of that fact."""

    asked: Asked
    export: Export
    file_name: str
    begin: Callable[[str, int], Chunks]

    def take(self, *, by: Context) -> Chunks:
        """The file. It is recorded before the first byte, since a copy that broke off is a copy
        too; the fact's own seq is beyond the part that is taken."""
        fact = LogExported(
            format=self.asked.format,
            from_seq=self.export.from_seq,
            to_seq=self.export.to_seq,
            filters=dict(self.asked.filters),
        )
        recorded = record(self.export.tenant.slug, fact, by=by)
        return self.begin(by.actor, recorded.seq)


def copy_of(tenant: str, asked: Asked) -> Copy:
    """What the log holds of it now. Raises what `export.of` does; of a bundle NoSigningKey too."""
    part = {
        "wanted": asked.wanted,
        "filters": asked.filters,
        "from_seq": asked.from_seq,
        "to_seq": asked.to_seq,
    }
    if asked.format == "bundle":
        made = bundle.of(tenant, query=asked.query, **part)  # type: ignore[arg-type]
        return Copy(
            asked,
            made.export,
            made.file_name,
            lambda by, seq: bundle.chunks(made, by=by, recorded_as_seq=seq),
        )
    chosen = export.of(tenant, **part)  # type: ignore[arg-type]
    write = export.csv if asked.format == "csv" else export.jsonl
    return Copy(asked, chosen, chosen.file_name(asked.format), lambda *_: write(chosen))
