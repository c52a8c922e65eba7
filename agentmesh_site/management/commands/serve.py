"""`manage.py serve`: the web and a worker beside it. Stops within 5 s, whoever is connected."""

import os
import signal
import socket
import sys
from typing import Any, NoReturn

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from uvicorn.supervisors import Multiprocess

from agentmesh_site import environment
from agentmesh_site.beside import worker_beside
from agentmesh_site.sharing_metrics import counting_together

BACKLOG = 2_048
MOST_WORKERS = 64
GRACE_SECONDS = 2  # for requests that are being answered; then see `agentmesh_site.serving`


class Command(BaseCommand):
    help = "Serve the pages, the API and the streams."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)

        def one_line(message: str) -> NoReturn:
            parser.exit(2, f"{parser.prog}: {message}\n")

        parser.error = one_line  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", help="address to listen on (AGENTMESH_HOST)")
        parser.add_argument("--port", help="port to listen on (PORT)")
        parser.add_argument("--workers", default="1", help="processes that serve (1)")
        parser.add_argument(
            "--no-worker",
            action="store_true",
            help="run no worker beside the web: another process is `manage.py worker`",
        )

    def handle(self, **options: Any) -> None:
        workers = _workers(options["workers"])
        _begin_again_if_settings_change(options["host"], options["port"])
        host, port = settings.ENVIRONMENT.host, settings.ENVIRONMENT.port
        listener = _listen(host, port)
        config = uvicorn.Config(
            "agentmesh_site.serving:application",
            interface="asgi3",
            http="agentmesh_site.serving:Protocol",
            ws="none",
            lifespan="on",
            workers=workers,
            log_config=None,  # Django's: warnings and worse
            access_log=False,
            server_header=False,
            proxy_headers=False,  # asgi.py believes AGENTMESH_TRUSTED_PROXIES, and nobody else
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        shown = f"[{host}]" if ":" in host else host
        self.stdout.write(f"AgentMesh is on http://{shown}:{port}/ (Ctrl-C stops it)")
        self.stdout.flush()
        signal.signal(signal.SIGTERM, _leave)
        try:
            with counting_together(), worker_beside(wanted=not options["no_worker"]):
                if workers == 1:
                    uvicorn.Server(config).run([listener])
                else:
                    Multiprocess(config, [listener]).run()
        except KeyboardInterrupt:
            pass


def _workers(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_WORKERS:
        return int(text)
    raise CommandError(f"--workers is {text!r}. Give a whole number from 1 to {MOST_WORKERS}.")


def _begin_again_if_settings_change(host: str | None, port: str | None) -> None:
    """What follows from host and port (the public URL, who may visit) is settled when we start.

    So where the arguments say something else than the environment, they become the environment of
    a new start in this process.
    """
    given = {
        name: value
        for name, value in (("AGENTMESH_HOST", host), ("PORT", port))
        if value is not None
    }
    wanted = {**os.environ, **given}
    try:
        differs = environment.read(wanted) != settings.ENVIRONMENT
    except environment.WrongSetting as error:
        raise CommandError(str(error)) from None
    if given and differs:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)  # noqa: S606 -- ourselves


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port}: {_reason(error)}. Choose another with --port."
        ) from None
    listener.set_inheritable(True)
    return listener


def _reason(error: OSError) -> str:
    # create_server adds its own words to the system's.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror)
    return os.strerror(error.errno)


def _leave(number: int, frame: object) -> NoReturn:
    """uvicorn raises the signal again once it has stopped; stopping when told to is a success."""
    raise SystemExit(0)
