"""The processes of one machine count together: any of them can answer for all.

The client library keeps the numbers of each process in files of its own and adds them up when it is
asked. It names them by pid, and a process that has died leaves them behind for ever. Here a process
takes the first slot of the folder that nobody holds, and goes on with the numbers it finds there:
so no counter falls when a process dies, and there are never more files than processes at once.

A slot is held by a lock on its file, which the system drops when the process ends, however it ends.
What only the living can say (gauges, such as the open streams) is removed from a slot nobody holds.

Until `begin` is called, nobody will ask: numbers stay in the process, and what is called for every
append does not even count.
"""

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Metric, values
from prometheus_client.multiprocess import MultiProcessCollector

MOST_SLOTS = 1_024
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where the library looks

REGISTRY = CollectorRegistry(auto_describe=False)


@dataclass(frozen=True, slots=True)
class Process:
    """One that counts. role: "web" or "worker"."""

    slot: int
    pid: int
    role: str


class NoFolder(Exception):
    """The folder cannot be used; the text is the system's reason."""


class Value:
    """A number of the library's metrics. It begins in the process and moves into a file when the
    process is told to share: most processes of ours never are."""

    __slots__ = ("_parameters", "get", "inc", "set")

    inc: Callable[[float], None]
    set: Callable[..., None]
    get: Callable[[], float]

    def __init__(self, *parameters: Any, **named: Any) -> None:
        self._parameters = parameters, named
        with _lock:
            self._keep_as(_shared.kind if _shared else values.MutexValue)
            if _shared is None:
                _to_move.append(self)

    def move(self, kind: Any) -> None:
        counted = self.get()
        self._keep_as(kind)
        if counted:
            self.inc(counted)

    def _keep_as(self, kind: Any) -> None:
        parameters, named = self._parameters
        kept = kind(*parameters, **named)
        self.inc, self.set, self.get = kept.inc, kept.set, kept.get

    def set_exemplar(self, exemplar: object) -> None:
        """Nobody reads them across processes."""

    def get_exemplar(self) -> None:
        return None


@dataclass(slots=True)
class _Shared:
    folder: Path
    role: str
    kind: Any = None  # of the library's values
    slot: int = -1
    descriptor: int = -1


_lock = threading.RLock()
_to_move: list[Value] = []
_shared: _Shared | None = None
_role: str | None = None

values.ValueClass = Value


def begin(role: str, folder: Path | None) -> None:
    """Count from now on, in `folder` together with whoever does, or alone. Raises NoFolder."""
    global _role, _shared  # noqa: PLW0603 -- a process has one place for its numbers
    with _lock:
        _role = role
        if _shared is not None or folder is None:
            return
        shared = _Shared(folder, role)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _take_slot(shared)
        except OSError as error:
            raise NoFolder(error.strerror or type(error).__name__) from error
        os.environ[FOLDER] = str(folder)
        make: Any = values.MultiProcessValue  # untyped
        shared.kind = make(lambda: shared.slot)
        for value in _to_move:
            value.move(shared.kind)
        _to_move.clear()
        _shared = shared
        os.register_at_fork(after_in_child=_begin_in_a_slot_of_its_own)


def is_asked() -> bool:
    """Whether this process is one whose numbers somebody may ask for."""
    return _role is not None


def collectors() -> Iterable[Any]:
    """What gives the numbers of all processes that share, or of this one alone."""
    return [_OfAll(_shared.folder)] if _shared is not None else [REGISTRY]


def processes() -> list[Process]:
    """Those that count together and live; this one alone where nothing is shared."""
    if _shared is None:
        return [Process(0, os.getpid(), _role or "web")]
    return list(_living(_shared.folder))


def is_abandoned(folder: Path) -> bool:
    """Whether processes have counted in the folder and none does any more."""
    return any(folder.glob("*.lock")) and not any(_living(folder))


class _OfAll:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        for _ in _living(self._folder):
            pass  # forgets the gauges of the dead
        untyped: Any = MultiProcessCollector
        files = untyped(None, path=str(self._folder))
        try:
            return list(files.collect())
        except (struct.error, OSError):
            return list(files.collect())  # a process began, or ended, just now


def _take_slot(shared: _Shared) -> None:
    for number in range(MOST_SLOTS):
        descriptor = os.open(_lock_file(shared.folder, number), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {shared.role}".encode())
        _forget_gauges(shared.folder, number)
        shared.slot, shared.descriptor = number, descriptor
        return
    raise OSError(None, f"more than {MOST_SLOTS} processes count there")


def _begin_in_a_slot_of_its_own() -> None:
    """In a forked child. The library notices the other slot at the next count."""
    if _shared is not None:
        os.close(_shared.descriptor)  # the parent's lock stays the parent's
        _take_slot(_shared)


def _living(folder: Path) -> Iterator[Process]:
    for path in sorted(folder.glob("*.lock")):
        slot = int(path.stem)
        with _held_by_nobody(path) as is_free:
            if is_free:
                _forget_gauges(folder, slot)
                continue
        pid, _, role = path.read_text(encoding="ascii").partition(" ")
        if pid.isdigit():
            yield Process(slot, int(pid), role)


@contextmanager
def _held_by_nobody(path: Path) -> Iterator[bool]:
    """Within, a free slot stays free. Shared, so that two who look don't take each other for it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _lock_file(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.lock"


def _forget_gauges(folder: Path, slot: int) -> None:
    for path in folder.glob(f"gauge_live*_{slot}.db"):
        with suppress(FileNotFoundError):
            path.unlink()
