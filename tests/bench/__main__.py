"""Run the benchmarks on both engines and print their tables: `python -m tests.bench [NAME …]`.

Each benchmark is a module of this package and a process of its own, with a fresh database.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.postgresql import postgresql_url

BENCHMARKS = {
    "commands": ("postgresql", "sqlite"),
    "bulk": ("postgresql", "sqlite"),
    "commands_at_once": ("postgresql", "sqlite"),
    "replay": ("postgresql", "sqlite"),
    "asof": ("postgresql", "sqlite"),
    "durability": ("postgresql", "sqlite"),
    "verify": ("postgresql", "sqlite"),
    "verification": ("postgresql", "sqlite"),
    "trace": ("postgresql", "sqlite"),
    "export": ("postgresql", "sqlite"),
    "projections": ("postgresql", "sqlite"),
    "subscribers": ("postgresql", "sqlite"),
    "sweep": ("postgresql", "sqlite"),
    "routing": ("postgresql", "sqlite"),
    "relay": ("postgresql", "sqlite"),
    "metrics": ("postgresql", "sqlite"),
    "http": ("postgresql", "sqlite"),
    "pages": ("postgresql", "sqlite"),
    "timeline": ("postgresql", "sqlite"),
    "first_views": ("postgresql", "sqlite"),
}
ROOT = Path(__file__).resolve().parent.parent.parent


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.")
        return 2
    with postgresql_url() as server:
        for name in names or BENCHMARKS:
            for engine in BENCHMARKS[name]:
                print(f"\n### {name} on {engine}\n", flush=True)
                with _database(engine, server) as url:
                    _run(url, "manage.py", "migrate", "--verbosity", "0")
                    _run(url, "-m", f"tests.bench.{name}")
    return 0


def _run(url: str, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "agentmesh_site.settings"},
    )


@contextmanager
def _database(engine: str, server: str) -> Iterator[str]:
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="agentmesh-bench-") as folder:
            yield f"sqlite:///{folder}/bench.sqlite3"
        return
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS agentmesh_bench")
        connection.execute("CREATE DATABASE agentmesh_bench")
        yield server.replace("/postgres?", "/agentmesh_bench?")
        connection.execute("DROP DATABASE agentmesh_bench WITH (FORCE)")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
