from typing import Any

from django.core.management.base import CommandError, CommandParser

from events.log.verify import Damaged, logs, verify
from events.management.command import PlainCommand, check_tenant


class Command(PlainCommand):
    help = "Compute every hash of the log again; exit 1 and name the first bad event, if there is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's log (default: every log)")

    def run(self, *, tenant: str | None, **_: Any) -> None:
        chosen = [check_tenant(tenant)] if tenant is not None else logs()
        whole = events = 0
        damaged: list[Damaged] = []
        for slug in chosen:
            try:
                verified = verify(slug)
            except Damaged as error:
                damaged.append(error)
                continue
            self.stdout.write(str(verified))
            whole += 1
            events += verified.seq
        if len(damaged) == 1:
            raise CommandError(str(damaged[0])) from damaged[0]
        if damaged:
            for each in damaged:
                self.stderr.write(str(each))
            slugs = ", ".join(each.tenant for each in damaged)
            raise CommandError(f"{len(damaged)} logs are damaged: {slugs}.")
        if tenant is None and whole != 1:
            self.stdout.write(f"{whole} logs: {events:,} events verified.")
