"""What a proof takes place in: a tenant, its servers, and processes that append to its log."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Usage:
    """What a process has and has used. Linux tells."""

    resident_bytes: int
    threads: int
    cpu_seconds: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        status = dict(line.split(":", 1) for line in lines)
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return cls(
            resident_bytes=int(status["VmRSS"].split()[0]) * 1024,
            threads=int(status["Threads"]),
            cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
        )


def server_connections() -> int | None:
    """How many connections others have to the database; None on SQLite, where nobody counts."""
    if not os.environ["DATABASE_URL"].startswith("postgresql"):
        return None
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True)
class Appended:
    """One append: its last event's seq, when it had been committed (monotonic), its duration."""

    seq: int
    at: float
    took_seconds: float


class Appending:
    """A process that appends, once it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdout is not None
        process.stdout.readline()  # it is ready

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        self._process.terminate()

    def result(self) -> list[Appended]:
        """Waits for its end."""
        out, _ = self._process.communicate(timeout=PATIENCE_SECONDS * 10)
        assert self._process.returncode == 0, "the writer failed"
        rows = [line.split() for line in out.splitlines()]
        return [Appended(int(seq), float(at), float(took)) for seq, at, took in rows]


@contextmanager
def appending(tenant: str, per_second: float, seconds: float) -> Iterator[Appending]:
    """A process that will append so many events, evenly."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.prove.streams.writer", tenant, str(per_second), str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Appending(process)
        finally:
            if process.poll() is None:
                process.kill()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def in_ms(values: list[float]) -> str:
    shown = [f"p{share} {percentile(values, share / 100) * 1000:.1f}" for share in (50, 99)]
    return f"{', '.join(shown)}, at most {max(values) * 1000:.1f} ms"
