import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from events import checkpoints, signing
from events.checkpoints import Changed, Untrusted
from events.log import stored
from events.log.checkpoint import Checkpoint
from events.log.crew import Crew, CrewLost
from events.log.judgement import judge
from events.log.verify import Damaged, logs
from events.management.command import WRONG_ARGUMENTS, PlainCommand, check_tenant
from events.notes import BadKey, Key

MAX_JOBS = 64
STDIN = "-"


class Command(PlainCommand):
    help = (
        "Compute every hash of the log again, and compare it with checkpoints that were taken "
        "earlier; exit 1 and name the first bad event, if there is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's log (default: every log)")
        parser.add_argument(
            "--checkpoint", metavar="FILE", help="signed checkpoints, as many as there are; or -"
        )
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="VERIFIER_KEY",
            help="a key to trust beside those of the environment; repeatable",
        )
        parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; default 1")

    def run(
        self, *, tenant: str | None, checkpoint: str | None, key: list[str], jobs: int, **_: Any
    ) -> None:
        if not 1 <= jobs <= MAX_JOBS:
            raise CommandError(
                f"--jobs is 1 to {MAX_JOBS}, not {jobs}.", returncode=WRONG_ARGUMENTS
            )
        signed: dict[str, list[Checkpoint]] = defaultdict(list)
        if checkpoint is not None:
            for each in _checkpoints(checkpoint, key):
                signed[each.tenant].append(each)
        elif key:
            raise CommandError("--key belongs to --checkpoint.", returncode=WRONG_ARGUMENTS)
        if tenant is None:
            chosen = sorted({*logs(), *signed})
        else:
            chosen = [tenant if tenant in signed else check_tenant(tenant)]
            if checkpoint is not None and tenant not in signed:
                raise CommandError(
                    f"{checkpoint} holds no checkpoint of {tenant}.", returncode=WRONG_ARGUMENTS
                )
        self._verify(chosen, signed, jobs, every=tenant is None)

    def _verify(
        self, chosen: list[str], signed: dict[str, list[Checkpoint]], jobs: int, *, every: bool
    ) -> None:
        damaged: list[Damaged] = []
        events = 0
        try:
            with Crew(jobs) as crew:
                for slug in chosen:
                    try:
                        result, seq = self._judge(slug, signed.get(slug, ()), crew)
                    except Damaged as error:
                        damaged.append(error)
                        continue
                    # Else its line reads like that of a log which checkpoints vouch for.
                    unseen = "; none of the checkpoints is of it" * (slug not in signed)
                    self.stdout.write(result + unseen * bool(signed))
                    events += seq
        except CrewLost as error:
            raise CommandError(str(error)) from error
        if len(damaged) == 1:
            raise CommandError(str(damaged[0])) from damaged[0]
        if damaged:
            for each in damaged:
                self.stderr.write(str(each))
            slugs = ", ".join(each.tenant for each in damaged)
            raise CommandError(f"{len(damaged)} logs are damaged: {slugs}.")
        if every and len(chosen) != 1:
            self.stdout.write(f"{len(chosen)} logs: {events:,} events verified.")

    def _judge(self, tenant: str, signed: Sequence[Checkpoint], crew: Crew) -> tuple[str, int]:
        heads = stored.heads(tenant)
        total = heads[0].seq if heads else None
        with tqdm(total=total, unit=" events", desc=tenant, leave=False, disable=None) as bar:
            result = judge(tenant, signed, walk=crew.walk, seen=bar.update)
        return str(result), result.seq


def _checkpoints(file: str, keys: list[str]) -> list[Checkpoint]:
    """Those of the file, all of them signed. Raises CommandError."""
    try:
        trusted = (*signing.keys(), *map(Key.parse, keys))
        raw = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        return list(checkpoints.read(raw.decode("utf-8-sig"), trusted))
    except BadKey as error:
        raise CommandError(f"--key: {error}", returncode=WRONG_ARGUMENTS) from error
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read: {error.strerror}.", returncode=WRONG_ARGUMENTS
        ) from error
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{file} holds no notes: it is not UTF-8.", returncode=WRONG_ARGUMENTS
        ) from error
    except Untrusted as error:
        raise CommandError(f"{file}: {error}", returncode=WRONG_ARGUMENTS) from error
    except Changed as error:
        raise CommandError(f"{file}: {error}") from error
