from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from events import tenants
from events.management.command import PlainCommand, check_tenant, operator
from events.models import Role

MAX_DAYS = 36_500


class Command(PlainCommand):
    help = "Issue a token. It is printed alone on standard output, once, and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("--name", required=True, help="whose token it is, for people")
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--agent", metavar="ID", help="the only agent it is for: role agent")
        parser.add_argument("--expires-days", type=int, metavar="N", help="default: never")

    def run(
        self,
        *,
        tenant: str,
        name: str,
        role: str,
        agent: str | None,
        expires_days: int | None,
        **_: Any,
    ) -> None:
        expires_at = None
        if expires_days is not None:
            if not 1 <= expires_days <= MAX_DAYS:
                raise CommandError(f"--expires-days is 1 to {MAX_DAYS}, not {expires_days}.")
            expires_at = timezone.now() + timedelta(days=expires_days)
        issued = tenants.issue_token(
            check_tenant(tenant),
            name,
            role,
            agent_id=agent,
            expires_at=expires_at,
            by=operator("create_token"),
        )
        secret = issued[1]
        self.stdout.write(secret)
        until = f"until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "until it is revoked"
        self.stderr.write(f"Token {name} ({role}) opens {tenant} {until}. It is not shown again.")
