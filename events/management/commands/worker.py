import os
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from events.bus import event_bus
from events.management.command import WRONG_ARGUMENTS, PlainCommand
from events.metrics import sharing
from events.worker import connections, wakeups
from events.worker.runner import Worker

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 3600


class Command(PlainCommand):
    help = "Read the logs for every subscription, and run the sweeps, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="end as soon as nothing is due any more"
        )
        parser.add_argument(
            "--lease-seconds",
            default="10",
            help="how long others wait for a worker that has died or was paused (10)",
        )
        parser.add_argument(
            "--until-input-ends",
            action="store_true",
            help="end with standard input too, which whoever starts this holds open",
        )

    def run(self, *, once: bool, lease_seconds: str, until_input_ends: bool, **_: Any) -> None:
        seconds = _seconds(lease_seconds)
        connections.prepare(event_bus, seconds)
        worker = Worker(lease_seconds=seconds)
        if once:
            done = worker.run_once()
            self.stdout.write(f"Nothing is due any more; {done:,} events and deadlines handled.")
            return
        try:
            sharing.begin("worker", settings.METRICS_DIR)
        except sharing.NoFolder as error:
            raise CommandError(f"AGENTMESH_METRICS_DIR cannot be used: {error}.") from None
        _stop_at_signals(worker)
        if until_input_ends:
            threading.Thread(target=_watch_input, args=(worker,), daemon=True).start()
        wakeups.tell_others()
        self.stdout.write("The worker runs (Ctrl-C stops it).")
        self.stdout.flush()
        in_time = worker.run()
        self.stdout.write("The worker has stopped.")
        self.stdout.flush()
        if not in_time:
            # A handler hangs. Its event comes again, and nothing else is left to be done.
            os._exit(0)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise CommandError(
            f"--lease-seconds is {text!r}. Give a number from {SHORTEST_SECONDS} to "
            f"{LONGEST_SECONDS}.",
            returncode=WRONG_ARGUMENTS,
        )
    return seconds


def _stop_at_signals(worker: Worker) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _watch_input(worker: Worker) -> None:
    # Not by sys.stdin, whose lock this thread would still hold when the interpreter ends.
    with suppress(OSError):
        while os.read(0, 4_096):
            pass
    worker.stop()
