from typing import Any

from django.core.management.base import CommandParser

from events import tenants
from events.management.command import PlainCommand, check_tenant, operator


class Command(PlainCommand):
    help = "Change a tenant's settings."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument(
            "--confidential-payloads",
            required=True,
            choices=["on", "off"],
            help="whether new inputs and results of tasks are encrypted; what is, stays so",
        )

    def run(self, *, tenant: str, confidential_payloads: str, **_: Any) -> None:
        changed = tenants.change_settings(
            check_tenant(tenant),
            confidential_payloads=confidential_payloads == "on",
            by=operator("configure_tenant"),
        )
        said = f"{tenant}: confidential payloads are {confidential_payloads}"
        self.stdout.write(f"{said}." if changed else f"{said} already; nothing was changed.")
