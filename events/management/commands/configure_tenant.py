from argparse import ArgumentTypeError
from typing import Any, cast

from django.core.management.base import CommandError, CommandParser

from events.management.command import PlainCommand, check_tenant, operator
from events.tenant_settings import Settings, change_settings

FOR_EVER = "for-ever"
KEPT = {
    "minute-statistics-days": "statistics by minute",
    "hour-statistics-days": "statistics by hour",
    "day-statistics-days": "statistics by day",
    "ended-alerts-days": "alerts that are over",
}


def _days(text: str) -> int | str:
    if text == FOR_EVER or text.isdecimal():
        return text if text == FOR_EVER else int(text[:9])
    raise ArgumentTypeError(f"{text[:20]!r} is neither a number of whole days nor {FOR_EVER}.")


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

        for option, what in KEPT.items():
            parser.add_argument(
                f"--{option}",
                type=_days,
                metavar="DAYS",
                help=f"for how many days {what} are kept, or for-ever",
            )

    def run(self, *, tenant: str, **options: Any) -> None:
        wanted = _wanted(options)
        if not wanted:
            raise CommandError("Nothing to change was given. --help lists the settings.")
        changed = change_settings(check_tenant(tenant), by=operator("configure_tenant"), **wanted)
        said = f"{tenant}: {', '.join(_words(wanted))}"
        self.stdout.write(f"{said}." if changed else f"{said} already; nothing was changed.")


def _wanted(options: dict[str, Any]) -> Settings:
    wanted: dict[str, Any] = {
        setting: options[setting]
        for setting in ("name", "time_zone", *map(_column, KEPT))
        if options[setting] is not None
    }
    if options["confidential_payloads"] is not None:
        wanted["confidential_payloads"] = options["confidential_payloads"] == "on"
    for column in map(_column, KEPT):
        if wanted.get(column) == FOR_EVER:
            wanted[column] = None
    return cast("Settings", wanted)


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
    for option, what in KEPT.items():
        if (column := _column(option)) in wanted:
            days = wanted[column]  # type: ignore[literal-required]  # a column of days
            words.append(f"{what} are kept {'for ever' if days is None else f'for {days} days'}")
    return words


def _column(option: str) -> str:
    return option.replace("-", "_")
