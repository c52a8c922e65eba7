"""What our management commands have in common: one line for every refusal, and who acted.

Exit codes: 0 done, 1 refused or not as it should be, 2 wrong arguments, 130 stopped by Ctrl-C.
"""

import getpass
import os
import sys
import uuid
from typing import Any

import msgspec
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from events.checks import OURS
from events.encoding import UnfitFact
from events.log.errors import AppendRefused
from events.log.proposal import Context
from events.models import Tenant
from events.tenants import Refused

ACTOR = "system:manage"
WRONG_ARGUMENTS = 2
STOPPED = 130
MISSING = ("42P01", "42703")  # PostgreSQL's SQLSTATE for a table or a column that is not there


class PlainCommand(BaseCommand):
    """A command that refuses in one line on stderr, never with a traceback or half its work done.

    Subclasses implement `run`; what services refuse becomes a CommandError here.
    """

    # Not the URLs: `check` and `serve` look at them, and to import every view takes half a second.
    requires_system_checks: tuple[str, ...] = (OURS, Tags.models, Tags.caches)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.called_from_command_line = False  # then it raises, and prints no usage first
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            # Only the parser's get here; Django itself prints those of `execute`.
            words = str(error).removeprefix("Error: ")
            self.stderr.write(f"{words} (manage.py {argv[1]} --help tells more.)")
            sys.exit(WRONG_ARGUMENTS)
        except KeyboardInterrupt:
            self.stderr.write("Stopped.")
            sys.exit(STOPPED)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.run(*args, **options)
            self.stdout.flush()  # here, where a closed pipe can be answered for
        except BrokenPipeError as error:
            to_nobody()
            raise CommandError("Nobody reads on; not all of the output was taken.") from error
        except (Refused, AppendRefused, UnfitFact) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(_about_the_database(error)) from error

    def run(self, *args: Any, **options: Any) -> None:
        """Do it; takes the options by name. CommandError says why not."""
        raise NotImplementedError


def to_nobody() -> None:
    """Point standard output, which nobody reads, where Python's last flush does no harm."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, sys.stdout.fileno())
    os.close(nobody)


def _about_the_database(error: DatabaseError) -> str:
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    state = getattr(error.__cause__, "sqlstate", None)
    if "no such table" in first_line or state in MISSING:
        return f"The database is not set up ({first_line}). Run manage.py migrate first."
    return f"The database does not do it: {first_line}"


def operator(command: str) -> Context:
    """Who acts: whoever may run manage.py. The account of the machine goes into the origin.

    Not `user:<account>`: an account of the machine is no person of AgentMesh, whatever its name.
    """
    origin = {"user_agent": f"manage.py {command} by {account()}"}
    return Context(
        actor=ACTOR, origin=msgspec.json.encode(origin).decode(), correlation_id=uuid.uuid4().hex
    )


def account() -> str:
    """The machine's account that runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return str(os.getuid())


def check_tenant(slug: str) -> str:
    """The slug of a tenant that exists. Raises CommandError."""
    if _is_text(slug) and Tenant.objects.filter(slug=slug).exists():
        return slug
    raise CommandError(f"There is no tenant {slug!r}. {_what_there_is()}")


def _is_text(argument: str) -> bool:
    """Whether the database can be asked for it: bytes that are no UTF-8 arrive as surrogates."""
    return argument.isprintable()


def _what_there_is() -> str:
    slugs = list(Tenant.objects.order_by("slug").values_list("slug", flat=True)[:10])
    if not slugs:
        return "Create it with create_tenant."
    return f"There is {', '.join(slugs)}."
