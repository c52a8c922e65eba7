"""Running a proof on both engines, each with a database of its own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from tests.postgresql import postgresql_url

ROOT = Path(__file__).resolve().parents[2]
HERE = "--here"
FOLDER = "AGENTMESH_TEST_FOLDER"


def on_both(module: str, arguments: list[str]) -> int:
    """Run `python -m module --here arguments` with each engine's DATABASE_URL, migrated."""
    with postgresql_url() as server, tempfile.TemporaryDirectory() as folder:
        name = module.rpartition(".")[2]
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE agentmesh_{name}")
        for url in (
            f"sqlite:///{folder}/{name}.sqlite3",
            server.replace("/postgres?", f"/agentmesh_{name}?"),
        ):
            engine = url.partition(":")[0]
            print(engine, flush=True)
            (Path(folder) / engine).mkdir()
            environment = os.environ | {
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": "agentmesh_site.settings",
                FOLDER: f"{folder}/{engine}",
            }
            for command in (
                ("manage.py", "migrate", "--verbosity", "0"),
                ("-m", module, HERE, *arguments),
            ):
                subprocess.run([sys.executable, *command], check=True, cwd=ROOT, env=environment)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE agentmesh_{name} WITH (FORCE)")
    return 0


def folder() -> Path:
    """Where this engine's run may keep files."""
    return Path(os.environ[FOLDER])
