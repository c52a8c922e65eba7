"""How often the disk is told to keep what it has while 100 commands are acknowledged one by one.

strace counts fdatasync and fsync of whoever writes: the server's backend on PostgreSQL, this
process on SQLite.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import django

COMMANDS = 100


def main() -> None:
    django.setup()
    from django.db import connection

    from tests.bench import fleet

    if shutil.which("strace") is None:
        print("strace is not installed; nothing was counted.")
        return
    tenant = fleet.fresh_tenant()
    fleet.working_agent(tenant, "agent-1")
    writer = (
        connection.connection.info.backend_pid if connection.vendor == "postgresql" else os.getpid()
    )
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        strace = subprocess.Popen(
            ["strace", "-f", "-p", str(writer), "-e", "trace=fdatasync,fsync", "-o", str(trace)],
            stderr=subprocess.PIPE,
        )
        assert strace.stderr is not None
        strace.stderr.readline()  # "Process … attached"
        time.sleep(0.2)
        for _ in range(COMMANDS):
            fleet.heartbeat(tenant, "agent-1")
        time.sleep(0.2)
        strace.terminate()
        strace.wait(timeout=10)
        calls = trace.read_text()
    synced = calls.count("fdatasync(") + calls.count("fsync(") - calls.count("resumed")
    print(f"{COMMANDS} acknowledged commands, one after another: {synced} calls of fdatasync/fsync")


if __name__ == "__main__":
    main()
