import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from events import accounts
from events.management.command import PlainCommand, check_tenant, operator
from events.models import MEMBER_ROLES

MAX_PASSWORD = 4096


class Command(PlainCommand):
    help = "Let a person into a tenant; makes the account when there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("user", help="the user name")
        parser.add_argument("--role", required=True, choices=[role.value for role in MEMBER_ROLES])
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="read the new account's password from the first line of standard input",
        )

    def run(self, *, tenant: str, user: str, role: str, password_stdin: bool, **_: Any) -> None:
        password = _first_line() if password_stdin else None
        made = accounts.let_in(
            check_tenant(tenant), user, role, password=password, by=operator("create_member")
        )
        said = f"{user} is {role} in {tenant}"
        if not made:
            self.stdout.write(f"{said}; the account was there before.")
        elif password is None:
            self.stdout.write(
                f"{said}, but cannot sign in yet: set a password with "
                f"manage.py changepassword {user}."
            )
        else:
            self.stdout.write(f"{said}, with a new account.")


def _first_line() -> str:
    try:
        line = sys.stdin.readline(MAX_PASSWORD + 2)
    except UnicodeDecodeError:
        raise CommandError("The password on standard input is not UTF-8.") from None
    password = line.removesuffix("\n").removesuffix("\r")
    if not password:
        raise CommandError("There is no password on standard input.")
    if len(password) > MAX_PASSWORD:
        raise CommandError(f"The password has more than {MAX_PASSWORD} characters.")
    return password
