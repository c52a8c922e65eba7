"""What takes longest begins first, so that no process is left with it when the others are done.

Tests that mostly wait (for servers, workers, clients, a clock) leave a processor to others only
while there are others. `--dist worksteal` gives each process an equal share of the tests, one after
another, and takes from the end of the longest when a process has done its own.
"""

from pathlib import Path

import pytest

LONGEST = [
    "clients/test_curl.py",
    "clients/test_killed.py",
    "durable/test_fairness.py",
    "durable/test_killed_workers.py",
    "jobs/test_demo.py",
    "jobs/test_demo_fleet.py",
    "jobs/test_many_processes.py",
    "log/test_concurrency.py",
    "log/test_killed.py",
    "metrics/test_server.py",
    "relay/test_faults.py",
    "stream/test_clients.py",
    "stream/test_following.py",
    "stream/test_lifetime.py",
    "stream/test_stream.py",
    "sweeps/test_mass_loss.py",
]
_PATHS = {Path(__file__).parent / name for name in LONGEST}


def longest_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests so that each process begins with some of the longest; files stay together."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    longest = [path for path in files if path in _PATHS]
    rest = [item for path, tests in files.items() if path not in longest for item in tests]
    ordered: list[pytest.Item] = []
    for process in range(processes):
        share = [item for path in longest[process::processes] for item in files[path]]
        fair = (len(items) - len(ordered)) // (processes - process)
        others = max(fair - len(share), 0)
        ordered += share + rest[:others]
        del rest[:others]
    return ordered
