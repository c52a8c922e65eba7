from typing import Any

from django.core.management.base import CommandParser

from events.confidential.erase import reapply
from events.management.command import PlainCommand, check_tenant
from events.models import Tenant


class Command(PlainCommand):
    help = "After a restore: destroy again the keys that an erasure in the log had destroyed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's (default: every tenant's)")

    def run(self, *, tenant: str | None, **_: Any) -> None:
        if tenant is not None:
            tenants = [check_tenant(tenant)]
        else:
            tenants = list(Tenant.objects.order_by("slug").values_list("slug", flat=True))
        done = [reapply(slug) for slug in tenants]
        erasures, destroyed = sum(d.erasures for d in done), sum(d.destroyed for d in done)
        whose = tenant if tenant is not None else f"{len(tenants)} tenants"
        self.stdout.write(
            f"{whose}: {erasures:,} erasures in the log, {destroyed:,} keys destroyed."
        )
