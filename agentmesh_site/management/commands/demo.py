import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import CommandError, CommandParser

from agentmesh_site.demo import people
from agentmesh_site.demo.logins import Logins, read, write
from events.management.command import PlainCommand

STOPS_WITHIN_SECONDS = 2


class Command(PlainCommand):
    help = "Serve two tenants with their people and fleets at work, for whoever looks first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--logins",
            type=Path,
            default=settings.VAR_DIR / "demo.json",
            help="the file that keeps the logins (default: var/demo.json)",
        )

        parser.add_argument(
            "--without-past", action="store_true", help="begin with empty logs, not with a week"
        )

    def run(self, *, logins: Path, without_past: bool = False, **_: Any) -> None:
        host, port = settings.ENVIRONMENT.host, settings.ENVIRONMENT.port
        _refuse_a_taken_port(host, port)
        url = settings.PUBLIC_URL
        known = read(logins)
        settled = people.settle(url, known, with_past=not without_past)
        try:
            write(logins, settled)
        except OSError as error:
            raise CommandError(f"{logins} cannot be written: {error.strerror}.") from error
        self._say(settled, logins)
        signal.signal(signal.SIGTERM, _leave)
        with _workload(url, logins):
            _serve(host, port)
        self.stdout.write("The demo has stopped; its data stays.")
        gc.freeze()  # or Python looks for garbage once more, in all that Django is

    def _say(self, logins: Logins, path: Path) -> None:
        self.stdout.write(f"AgentMesh    {logins.url}/")
        self.stdout.write(f"API          {logins.url}/api/v1/tenants/acme/agents")
        for user in logins.users:
            self.stdout.write(
                f"{user.username:<12} {user.password:<14} {user.role} of {user.tenant}"
            )
        self.stdout.write(f"Logins and tokens are in {path}. Ctrl-C stops everything.")
        self.stdout.flush()


def _serve(host: str, port: int) -> None:
    """Serve until we are told to stop."""
    if "serve" in get_commands():
        call_command("serve")
        return
    uvicorn.run(
        "agentmesh_site.asgi:application",
        host=host,
        port=port,
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOPS_WITHIN_SECONDS,
    )


@contextmanager
def _workload(url: str, logins: Path) -> Iterator[None]:
    """The fleets work as long as the body runs; their process ends with its standard input."""
    process = subprocess.Popen(  # noqa: S603 -- ourselves
        [sys.executable, "-m", "agentmesh_site.demo.workload", url, str(logins.absolute())],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # its agents say when they try something again
    )
    try:
        yield
    finally:
        process.kill()  # its agents go on with their tasks at the next start, whatever hit them
        process.wait()


def _refuse_a_taken_port(host: str, port: int) -> None:
    """Before anything is made: who finds the port taken has most likely started us twice."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        # A system error's own words; those of an unknown host have a number below zero.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror
        raise CommandError(
            f"{host} port {port} cannot be served: {why}. Choose another with PORT=."
        ) from error


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit(0)
