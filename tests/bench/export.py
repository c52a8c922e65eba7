"""A log into a file, out of it again, and a stranger's check, beside the raw way of each engine.

Raw out is COPY TO (on SQLite SELECT) of the same columns, thrown away; raw in is COPY FROM (on
SQLite executemany) of the same rows into the same table, committed, of a tenant that exists nowhere
else. The file is made beforehand; importing and exporting it again must give the same bytes.
"""

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from typing import Any

import django
import psycopg

EVENTS = 50_000
AGENTS = 50
ROUNDS = 3


def main() -> None:
    django.setup()
    from events import verify_export
    from events.transfer.importing import import_log

    rates: dict[str, list[tuple[float, float]]] = {"export": [], "import": [], "verifier": []}
    for _ in range(ROUNDS):
        slug = f"bench-{uuid.uuid4().hex[:12]}"
        file = file_of(slug, EVENTS)
        rows = _rows(file)
        raw_in = _rate(partial(_raw_in, rows))
        rates["import"].append((_rate(partial(import_log, BytesIO(file))), raw_in))
        chunks: list[bytes] = []
        out = _rate(partial(_collect, chunks, slug))
        assert b"".join(chunks) == file
        rates["export"].append((out, _rate(partial(_raw_out, slug))))
        with tempfile.NamedTemporaryFile() as written:
            written.write(file)
            written.flush()
            command = [sys.executable, verify_export.__file__, written.name]
            check = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
            rates["verifier"].append((_rate(check), 0.0))
    print("| what | events/s (best) | raw, rows/s | ratio within a round |")
    print("|---|---|---|---|")
    for what, found in rates.items():
        best = max(rate for rate, _ in found)
        if not found[0][1]:
            print(f"| {what} | {best:,.0f} | | |")
            continue
        raw = max(limit for _, limit in found)
        ratios = sorted(rate / limit for rate, limit in found)
        print(f"| {what} | {best:,.0f} | {raw:,.0f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |")


def _rate(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return EVENTS / (time.perf_counter() - start)


def file_of(slug: str, events: int) -> bytes:
    """A log of heartbeats as a file that can be imported."""
    from events.vocabulary import AgentCreatedEvent, AgentHealthCheckPassedEvent, Capability
    from tests.transfer.draft import NOON, draft

    names = [f"agent-{number}" for number in range(AGENTS)]
    created = [
        AgentCreatedEvent(
            name, tenant_id=slug, capabilities=(Capability("python", 4),), occurred_at=NOON
        )
        for name in names
    ]
    beats = [
        AgentHealthCheckPassedEvent(
            names[number % AGENTS],
            success_rate=0.98,
            response_time_ms=120.5,
            cpu_usage_percent=35.0,
            memory_usage_percent=61.5,
            checked_at=NOON,
            occurred_at=NOON,
        )
        for number in range(events - AGENTS)
    ]
    return draft(slug, [*created, *beats]).file()


def _rows(file: bytes) -> list[Sequence[Any]]:
    """The file's events as rows for the same table: of a tenant and with ids of their own."""
    from django.db import connection

    from events.transfer import importing
    from events.transfer.arriving import Arriving

    tenant = f"raw-{uuid.uuid4().hex[:12]}"
    rows = [(uuid.uuid4(), tenant, *row[2:]) for row in Arriving(BytesIO(file))]
    if connection.vendor == "postgresql":
        return list(rows)
    return [importing._as_django_stores(row) for row in rows]


def _raw_in(rows: list[Sequence[Any]]) -> None:
    from django.db import connection, transaction

    from events.log.postgresql import EVENT_COLUMNS, EVENT_TYPES

    columns = ", ".join(EVENT_COLUMNS)
    with transaction.atomic():
        if connection.vendor != "postgresql":
            marks = ", ".join("?" * len(EVENT_COLUMNS))
            sql = f"INSERT INTO events_event ({columns}) VALUES ({marks})"
            connection.connection.executemany(sql, rows)
            return
        with (
            psycopg.Cursor(connection.connection) as cursor,
            cursor.copy(f"COPY events_event ({columns}) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types(EVENT_TYPES)
            for row in rows:
                copy.write_row(row)


def _collect(chunks: list[bytes], slug: str) -> None:
    from events.transfer import export

    chunks.extend(export.jsonl(export.of(slug)))


def _raw_out(slug: str) -> None:
    from django.db import connection

    from events.log.postgresql import EVENT_COLUMNS

    connection.ensure_connection()
    select = f"SELECT {', '.join(EVENT_COLUMNS)} FROM events_event WHERE tenant_id = "
    if connection.vendor != "postgresql":
        for _ in connection.connection.execute(f"{select} ? ORDER BY seq", (slug,)):
            pass
        return
    with (
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(f"COPY ({select} %s ORDER BY seq) TO STDOUT (FORMAT BINARY)", (slug,)) as copy,
    ):
        for _ in copy:
            pass


if __name__ == "__main__":
    main()
