import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from events.log.verify import Damaged
from events.management.command import PlainCommand, check_tenant, to_nobody
from events.transfer import export
from events.transfer.export import Export

Write = Callable[[bytes], object]


class Command(PlainCommand):
    help = "Write a tenant's log as JSONL to stdout: stored bytes and hashes, ready for import_log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("--from-seq", type=int, metavar="N", help="first event (default: 1)")
        parser.add_argument("--to-seq", type=int, metavar="N", help="last event (default: newest)")
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help="write FILE instead, readable by its owner alone, there only when it is whole",
        )

    def run(
        self,
        *,
        tenant: str,
        from_seq: int | None,
        to_seq: int | None,
        output: Path | None,
        **_: Any,
    ) -> None:
        slug = check_tenant(tenant)
        try:
            chosen = export.of(slug, from_seq=from_seq, to_seq=to_seq)
        except Damaged as error:
            raise CommandError(f"{error} verify_log tells more.") from error
        began = time.monotonic()
        with _beside(output) if output else self._stdout() as write:
            try:
                self._write(chosen, write)
            except Damaged as error:
                lost = "" if output else " What was written is no export."
                raise CommandError(f"{error}{lost} verify_log tells more.") from error
        count, seconds = chosen.to_seq - chosen.from_seq + 1, time.monotonic() - began
        place = f"events {chosen.from_seq} to {chosen.to_seq}" if count else "no events"
        self.stderr.write(
            f"{tenant}: {place} exported, head {chosen.to_seq}-{chosen.hash.hex()[:8]}, "
            f"{count / seconds:,.0f} events/s."
        )

    def _write(self, chosen: Export, write: Write) -> None:
        with tqdm(unit=" bytes", unit_scale=True, disable=None) as bar:
            for chunk in export.jsonl(chosen):
                write(chunk)
                bar.update(len(chunk))

    @contextmanager
    def _stdout(self) -> Iterator[Write]:
        binary = getattr(self.stdout, "buffer", None)
        try:
            if binary is None:  # a test's
                yield lambda chunk: self.stdout.write(chunk.decode(), ending="")
            else:
                yield binary.write
                binary.flush()
        except BrokenPipeError:
            to_nobody()
            raise CommandError("Nobody reads on; the export is not whole.") from None
        except OSError as error:
            raise CommandError(f"The export cannot be written: {error.strerror}.") from error


@contextmanager
def _beside(output: Path) -> Iterator[Write]:
    """Writes a file beside `output` that takes its name once it is whole and on the disk."""
    name = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=output.parent, prefix=f".{output.name}.", delete=False
        ) as file:
            name = Path(file.name)
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        name.replace(output)
        name = None
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        if name is not None:
            name.unlink(missing_ok=True)
