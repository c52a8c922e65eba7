from typing import Any

from django.core.management.base import CommandError, CommandParser

from events.log import read
from events.management.command import PlainCommand, check_tenant
from projections.relay import notes


class Command(PlainCommand):
    help = "Let the relay to NATS go on with a log, after it was stopped. See docs/relay.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument(
            "--after",
            required=True,
            metavar="SEQ",
            help="the last event that counts as relayed: a seq, 0 for none, or head",
        )

    def run(self, *, tenant: str, after: str, **_: Any) -> None:
        slug = check_tenant(tenant)
        end = read.head(slug)
        if after == "head" and end is not None:
            seq = end.seq
        elif after.isascii() and after.isdigit() and len(after) < len(str(2**63)):
            seq = int(after)
        else:
            raise CommandError(f"--after is a seq, 0 or head, not {after!r}.")
        try:
            notes.resume(slug, seq)
        except LookupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The relay goes on in {slug} after event {seq}.")
