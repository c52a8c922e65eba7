"""The worker beside the web: a process of its own, so that neither takes the other's time or falls
with it. One that has died is started again; none outlives whoever started it."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings

logger = logging.getLogger(__name__)

REST_SECONDS = (1.0, 30.0)  # after the first death, and at most after many
GONE_SECONDS = 1.0  # what it is given once the web has stopped; nothing is lost by killing it


class Beside:
    """`start` it, and `stop` it; `tell_to_stop` begins that and waits for nothing."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="worker-watch", daemon=True)

    def start(self) -> None:
        self._watcher.start()

    def tell_to_stop(self) -> None:
        self._stop.set()
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()

    def stop(self) -> None:
        self.tell_to_stop()
        self._watcher.join(GONE_SECONDS)
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
        self._watcher.join()

    def _watch(self) -> None:
        rest = REST_SECONDS[0]
        while True:
            with self._lock:
                if self._stop.is_set():
                    return
                self._process = _started()
            code = self._process.wait()
            if self._stop.is_set():
                return
            logger.error("The worker has ended with %d and begins again in %.0f s", code, rest)
            self._stop.wait(rest)
            rest = min(rest * 2, REST_SECONDS[1])


def _started() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--until-input-ends", "--skip-checks"],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C is for us; it ends with its input
    )


_running: Beside | None = None
EXPECTED = "AGENTMESH_EXPECT_WORKER"  # how the web's other processes know of it


@contextmanager
def worker_beside(*, wanted: bool = True) -> Iterator[None]:
    """A worker runs for as long as the body does."""
    global _running  # noqa: PLW0603 -- a process has one, and its web is found by an import path
    if not wanted:
        yield
        return
    os.environ.setdefault(EXPECTED, "1")
    _running = Beside()
    _running.start()
    try:
        yield
    finally:
        _running.stop()


def is_wanted() -> bool:
    """Whether a worker is to run beside this process."""
    return _running is not None


def tell_to_stop() -> None:
    """Called as soon as it is certain that this process ends."""
    if _running is not None:
        _running.tell_to_stop()
