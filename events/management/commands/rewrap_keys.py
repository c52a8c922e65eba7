from typing import Any

from django.core.management.base import CommandError

from events.confidential.rewrap import rewrap
from events.management.command import PlainCommand
from events.models import Tenant


class Command(PlainCommand):
    help = "Wrap every data key with the first of AGENTMESH_ENCRYPTION_KEYS; for its rotation."

    def run(self, **_: Any) -> None:
        slugs = Tenant.objects.order_by("slug").values_list("slug", flat=True)
        done = [rewrap(slug) for slug in slugs]
        count, left = sum(d.done for d in done), sum(d.left for d in done)
        said = f"{count:,} keys wrapped anew"
        if left:
            raise CommandError(
                f"{said}; {left:,} could not be unwrapped. Add the key that wraps them to the end "
                f"of AGENTMESH_ENCRYPTION_KEYS and run it again."
            )
        self.stdout.write(f"{said} with {done[0].kek}." if done else "There is no tenant.")
