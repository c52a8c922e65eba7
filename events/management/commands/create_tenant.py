from typing import Any

from django.core.management.base import CommandParser

from events import tenants
from events.management.command import PlainCommand


class Command(PlainCommand):
    help = "Create a tenant with an empty log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "slug", help="its name everywhere, for ever: lower-case letters, digits, -"
        )
        parser.add_argument("--name", default="", help="how people call it (default: the slug)")

    def run(self, *, slug: str, name: str, **_: Any) -> None:
        tenant = tenants.create_tenant(slug, name)
        self.stdout.write(f"Tenant {tenant.slug} is created; its log is {tenant.log_id}.")
