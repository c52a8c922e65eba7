from typing import Any

from django.core.management.base import CommandError, CommandParser

from events import registry
from events.management.command import PlainCommand
from events.registry import Kind
from events.schemas import lock, update


class Command(PlainCommand):
    help = (
        "Lock the schemas of new fact versions, with golden payloads. A locked schema never "
        "changes: make a new version instead (docs/schemas.md)."
    )
    # It mends what the checks complain of.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="write nothing; exit 1 and name every difference between code and lock",
        )
        parser.add_argument(
            "--unreleased",
            action="append",
            default=[],
            metavar="TYPE/VERSION",
            help="a version that no release has ever recorded: its entry may change, or go",
        )

    def run(self, *_: Any, check: bool, unreleased: list[str], **__: Any) -> None:
        try:
            found = update.planned(lock.HERE, [_kind(each) for each in unreleased])
        except lock.LockUnreadable as error:
            raise CommandError(f"{error} Take the file from version control.") from error
        lines = [*found.refusals, *(found.news if check else ())]
        for line in lines:
            self.stderr.write(line)
        if found.refusals:
            raise CommandError(f"{_count(lines, 'difference')}; nothing was written.")
        if lines:
            raise CommandError(f"{_count(lines, 'difference')}. Run manage.py schema_lock.")
        locked = _count(registry.kinds(), "schema")
        if not found.news:
            self.stdout.write(f"{locked} locked, nothing changed.")
            return
        found.write()
        for line in found.news:
            self.stdout.write(line)
        self.stdout.write(
            f"{locked} locked, {_count(found.news, 'change')}. Commit events/schemas."
        )


def _kind(argument: str) -> Kind:
    name, _, version = argument.partition("/")
    if not name or not version:
        raise CommandError(f"--unreleased takes TYPE/VERSION, not {argument!r}.")
    return Kind(name, version)


def _count(things: Any, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
