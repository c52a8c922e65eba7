from typing import Any

from django.core.management.base import CommandParser

from agents.mass_loss import confirm_mass_loss
from events.management.command import PlainCommand, check_tenant, operator


class Command(PlainCommand):
    help = "Say that the agents of a tenant that fell silent together are lost."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("--reason", required=True, help="why, for whoever reads the log")

    def run(self, *, tenant: str, reason: str, **_: Any) -> None:
        slug = check_tenant(tenant)
        confirm_mass_loss(tenant=slug, reason=reason, by=operator("confirm_mass_loss"))
        self.stdout.write(f"The silence of {slug}'s agents counts; the next sweep records it.")
