"""Documents that are made of the code, kept in docs/ and compared in `make check`."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from events.management.command import PlainCommand

FOLDER = Path(settings.BASE_DIR) / "docs"


class KeptDocumentCommand(PlainCommand):
    """`manage.py NAME [--check]`: writes docs/NAME.json, or fails when it is out of date."""

    name: ClassVar[str]

    @abstractmethod
    def made(self) -> tuple[bytes, str]:
        """The document, and what it holds, such as "67 operations"."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 when it is out of date"
        )

    def run(self, *_: Any, check: bool, **__: Any) -> None:
        document, holds = self.made()
        file = FOLDER / f"{self.name}.json"
        if file.is_file() and file.read_bytes() == document:
            self.stdout.write(f"{holds}, nothing changed.")
            return
        if check:
            raise CommandError(f"docs/{file.name} is out of date. Run manage.py {self.name}.")
        file.write_bytes(document)
        self.stdout.write(f"{holds} written. Commit docs/{file.name}.")
