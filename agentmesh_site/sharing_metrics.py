"""Where the processes of `serve` count together: a folder for each server, gone when it is.

AGENTMESH_METRICS_DIR names one instead that stays, for processes that nobody `serve`s: other ASGI
servers, and workers that are started by themselves on the same machine.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from events.metrics import sharing

NAME = "AGENTMESH_METRICS_DIR"
PREFIX = "agentmesh-metrics-"
OWNER = "owner"  # the file that `serve` locks for as long as it lives
YOUNG_SECONDS = 60.0  # perhaps somebody is making it just now


def begin_to_count(role: str) -> None:
    """Count in the folder that was named; alone where there is none. Stops the start where the
    folder cannot be used."""
    given = os.environ.get(NAME, "").strip()
    folder = Path(given) if given else settings.METRICS_DIR
    try:
        sharing.begin(role, folder)
    except sharing.NoFolder as error:
        raise SystemExit(
            f"agentmesh: {NAME} is {folder}, which cannot be used: {error}. Choose another."
        ) from None


@contextmanager
def counting_together() -> Iterator[None]:
    """This process and those it starts within count in one folder."""
    if settings.METRICS_DIR is not None:
        yield
        return
    _remove_what_others_left()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    descriptor = _locked(folder)
    os.environ[NAME] = str(folder)
    try:
        yield
    finally:
        del os.environ[NAME]
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _remove_what_others_left() -> None:
    """Folders of servers that had no time to remove them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            seen = folder.lstat()
            ours = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid()
            if not ours or time.time() - seen.st_mtime < YOUNG_SECONDS:
                continue
            descriptor = _locked(folder)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """The descriptor that holds the folder; None when somebody else does."""
    descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
