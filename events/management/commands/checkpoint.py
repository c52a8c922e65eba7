from typing import Any

from django.core.management.base import CommandError, CommandParser

from events import checkpoints, signing
from events.log.errors import TenantUnknown
from events.log.verify import Damaged
from events.management.command import PlainCommand, check_tenant
from events.models import Tenant
from events.signing import NoSigningKey


class Command(PlainCommand):
    help = (
        "Sign where each log stands. The notes alone go to standard output, "
        "so that `checkpoint >> FILE` collects them; keep FILE on another machine."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's log (default: every log)")
        parser.add_argument(
            "--keys",
            action="store_true",
            help="print the verifier keys instead, first the one that signs",
        )

    def run(self, *, tenant: str | None, keys: bool, **_: Any) -> None:
        signer = signing.signer()
        if keys:
            trusted = signing.keys()
            self.stdout.write("".join(f"{key}\n" for key in trusted), ending="")
            self.stderr.write("One signs." if signer else "None of them signs.")
            return
        if signer is None:
            raise CommandError(str(NoSigningKey()))
        chosen = [check_tenant(tenant)] if tenant is not None else _tenants()
        failed = []
        for number, slug in enumerate(chosen):
            try:
                note = checkpoints.take(slug)
            except (Damaged, TenantUnknown) as error:
                failed.append(slug)
                self.stderr.write(str(error))
                continue
            self.stdout.write("\n" * bool(number) + note, ending="")
        signed = len(chosen) - len(failed)
        told = f"{signed} checkpoints" if signed != 1 else "1 checkpoint"
        told = f"{told} signed by {signer.name}+{signer.key.id.hex()}."
        if failed:
            raise CommandError(f"{told} Not signed: {', '.join(failed)}. See verify_log.")
        self.stderr.write(told)


def _tenants() -> list[str]:
    return list(Tenant.objects.order_by("slug").values_list("slug", flat=True))
