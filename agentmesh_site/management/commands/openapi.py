from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from events.api.openapi import document
from events.management.command import PlainCommand

KEPT = Path(settings.BASE_DIR) / "docs" / "openapi.json"


class Command(PlainCommand):
    help = "Write the OpenAPI document of the API to docs/openapi.json (docs/openapi.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 when it is out of date"
        )

    def run(self, *_: Any, check: bool, **__: Any) -> None:
        try:
            made = document.served()
        except TypeError as fault:
            raise CommandError(str(fault)) from fault
        operations = sum(len(path) for path in document.document()["paths"].values())
        if KEPT.is_file() and KEPT.read_bytes() == made:
            self.stdout.write(f"{operations} operations, nothing changed.")
            return
        if check:
            raise CommandError("docs/openapi.json is out of date. Run manage.py openapi.")
        KEPT.write_bytes(made)
        self.stdout.write(f"{operations} operations written. Commit docs/openapi.json.")
