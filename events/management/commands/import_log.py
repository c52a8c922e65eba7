import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from events.management.command import PlainCommand
from events.transfer.arriving import BadFile
from events.transfer.importing import import_log


class Command(PlainCommand):
    help = "Make a tenant from the log that export_log wrote: all of it, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="what export_log wrote; - for stdin")
        parser.add_argument(
            "--require-signature",
            action="store_true",
            help="refuse a file that no key known here has signed",
        )

    def run(self, *, file: str, require_signature: bool, **_: Any) -> None:
        with ExitStack() as opened:
            try:
                source = sys.stdin.buffer if file == "-" else _open(file, opened)
                done = import_log(source, require_signature=require_signature)
            except BadFile as error:
                raise CommandError(f"{file}: {error} Nothing was imported.") from error
            except OSError as error:
                raise CommandError(f"{file!r} cannot be read: {error.strerror}.") from error
        if done.signed_by is None:
            names = ", ".join(done.signers)
            who = f"by {names}, whose key is not known here" if names else "by nobody"
            self.stderr.write(f"The file is whole; its checkpoint is signed {who}.")
        self.stdout.write(
            f"{done.tenant}: {done.seq:,} events of {done.streams:,} streams imported, "
            f"head {done.seq}-{done.hash.hex()[:8]}. Nobody may enter yet: create_member."
        )


def _open(file: str, opened: ExitStack) -> BinaryIO:
    try:
        return opened.enter_context(Path(file).open("rb"))
    except ValueError as error:  # a NUL in the name
        raise CommandError(f"{file!r} cannot be read: {error}.") from error
