"""`python -m tests.prove [changes] [clean logs] [seed]`: every change found, no false alarm.

Runs on both engines, each with a database of its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import psycopg

from tests.postgresql import postgresql_url

ROOT = Path(__file__).resolve().parents[2]
CHANGES, CLEAN = 1_000, 100
ON_ONE_LOG = 40  # changes


def main(arguments: list[str]) -> int:
    if "DATABASE_URL" in os.environ and "--here" in arguments:
        prove(*map(int, arguments[1:]))
        return 0
    numbers = [*arguments, *(str(CHANGES), str(CLEAN), "1")[len(arguments) :]]
    with postgresql_url() as server, tempfile.TemporaryDirectory() as folder:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE agentmesh_prove")
        for url in (
            f"sqlite:///{folder}/prove.sqlite3",
            server.replace("/postgres?", "/agentmesh_prove?"),
        ):
            print(url.partition(":")[0], flush=True)
            _run(url, "manage.py", "migrate", "--verbosity", "0")
            _run(url, "-m", "tests.prove", "--here", *numbers)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE agentmesh_prove WITH (FORCE)")
    return 0


def _run(url: str, *arguments: str) -> None:
    environment = os.environ | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "agentmesh_site.settings",
    }
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, env=environment)


def prove(changes: int, clean: int, seed: int) -> None:
    """Print what was found. Raises Missed at the first change that was not."""
    import django

    django.setup()
    from events.tenants import create_tenant
    from tests.prove import logs, trial
    from tests.prove.mutations import KINDS

    random = Random(seed)
    began = time.monotonic()
    kinds = [kind for _ in range(changes // len(KINDS) + 1) for kind in KINDS][:changes]
    random.shuffle(kinds)
    made: Counter[str] = Counter()
    for number, start in enumerate(range(0, changes, ON_ONE_LOG)):
        tenant = logs.grow(f"acme-{number}", random, random.choice([2, 7, 30, 90]))
        other = logs.grow(f"globex-{number}", random, random.choice([1, 12, 60]))
        made += trial.try_all(tenant, other, kinds[start : start + ON_ONE_LOG], random)
    for kind, times in sorted(made.items()):
        print(f"  {times:4} {kind}")
    print(f"  {made.total():,} changes, each found at its seq", flush=True)
    for number in range(clean):
        slug = f"clean-{number}"
        events = random.choice([0, 1, 5, 40, 200])
        tenant = logs.grow(slug, random, events) if events else create_tenant(slug).slug
        checkpoints = trial.some_checkpoints(tenant, trial.end(tenant), random)
        for given in ((), checkpoints):
            if trial.verdict(tenant, given) is not None:
                raise trial.Missed(f"a false alarm on {tenant}, seed {seed}")
    print(f"  {clean} clean logs, no false alarm; {time.monotonic() - began:.0f} s, seed {seed}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
