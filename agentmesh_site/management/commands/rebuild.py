from typing import Any

from django.core.management.base import CommandError, CommandParser

from agents.rebuild import NotRebuilt, Rebuilt, compare, rebuild
from agents.retelling import Retelling, Untellable
from events.management.command import PlainCommand, check_tenant
from events.models import Tenant

AGENTS = "agents"


class Command(PlainCommand):
    help = "Make what is derived from the log anew, or only compare it with the log."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("subscription", nargs="?", help=f"what to rebuild: {AGENTS}")
        what.add_argument("--all", action="store_true", help="everything there is")
        parser.add_argument("--tenant", help="only this tenant's (default: every tenant's)")
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit 1 on any difference"
        )

    def run(self, *, subscription: str | None, tenant: str | None, check: bool, **_: Any) -> None:
        if subscription not in (None, AGENTS):
            raise CommandError(f"There is no {subscription!r} to rebuild. There is {AGENTS}.")
        if tenant is not None:
            tenants = [check_tenant(tenant)]
        else:
            tenants = list(Tenant.objects.order_by("slug").values_list("slug", flat=True))
        act = self._check if check else self._rebuild
        try:
            lines = [act(slug) for slug in tenants]
        except (Untellable, NotRebuilt) as error:
            raise CommandError(str(error)) from error
        wrong = sum(differences for differences, _ in lines)
        for _differences, line in lines:
            self.stdout.write(line)
        if check and wrong:
            raise CommandError(f"{wrong} differences. rebuild without --check puts them right.")
        if len(lines) != 1:
            self.stdout.write(f"{len(lines)} tenants: {wrong} rows were not as the log tells.")

    def _check(self, tenant: str) -> tuple[int, str]:
        retelling, found = compare(tenant)
        count = 0
        for difference in found:
            self.stdout.write(str(difference))
            count += 1
        said = f"{count} differences" if count else "all as the log tells"
        return count, f"{tenant}: {_told(retelling)} compared, {said}."

    def _rebuild(self, tenant: str) -> tuple[int, str]:
        rebuilt = rebuild(tenant)
        return rebuilt.written, (
            f"{tenant}: {_told(rebuilt)} rebuilt, {rebuilt.written:,} rows written."
        )


def _told(what: Retelling | Rebuilt) -> str:
    return f"{what.agents:,} agents, {what.tasks:,} tasks and {what.states:,} past states"
