from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from events.management.command import PlainCommand
from projections.asyncapi import document

KEPT = Path(settings.BASE_DIR) / "docs" / "asyncapi.json"


class Command(PlainCommand):
    help = "Write the AsyncAPI document of what is sent to docs/asyncapi.json (docs/asyncapi.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 when it is out of date"
        )

    def run(self, *_: Any, check: bool, **__: Any) -> None:
        made = document.served()
        messages = len(document.document()["components"]["messages"])
        if KEPT.is_file() and KEPT.read_bytes() == made:
            self.stdout.write(f"{messages} messages, nothing changed.")
            return
        if check:
            raise CommandError("docs/asyncapi.json is out of date. Run manage.py asyncapi.")
        KEPT.write_bytes(made)
        self.stdout.write(f"{messages} messages written. Commit docs/asyncapi.json.")
