from typing import Any

from django.core.management.base import CommandError, CommandParser

from events.management.command import PlainCommand, check_tenant, operator
from events.tenant_settings import Settings, change_settings


class Command(PlainCommand):
    help = "Change a tenant's settings."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("--name", help="what people read; the slug stays")
        parser.add_argument(
            "--time-zone",
            metavar="ZONE",
            help="the zone that its pages show times in, for example Europe/Berlin",
        )
        parser.add_argument(
            "--confidential-payloads",
            choices=["on", "off"],
            help="whether new inputs and results of tasks are encrypted; what is, stays so",
        )

    def run(self, *, tenant: str, **options: Any) -> None:
        wanted = _wanted(options)
        if not wanted:
            raise CommandError("Nothing to change was given. --help lists the settings.")
        changed = change_settings(check_tenant(tenant), by=operator("configure_tenant"), **wanted)
        said = f"{tenant}: {', '.join(_words(wanted))}"
        self.stdout.write(f"{said}." if changed else f"{said} already; nothing was changed.")


def _wanted(options: dict[str, Any]) -> Settings:
    wanted: Settings = {}
    if options["name"] is not None:
        wanted["name"] = options["name"]
    if options["time_zone"] is not None:
        wanted["time_zone"] = options["time_zone"]
    if options["confidential_payloads"] is not None:
        wanted["confidential_payloads"] = options["confidential_payloads"] == "on"
    return wanted


def _words(wanted: Settings) -> list[str]:
    words = []
    if "name" in wanted:
        words.append(f"its name is {wanted['name']}")
    if "time_zone" in wanted:
        words.append(f"its time zone is {wanted['time_zone']}")
    if "confidential_payloads" in wanted:
        words.append(
            f"confidential payloads are {'on' if wanted['confidential_payloads'] else 'off'}"
        )
    return words
