import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from django.core.management.base import CommandError, CommandParser

from events.management.command import PlainCommand
from events.worker import wakeups
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
        worker = Worker(lease_seconds=_seconds(lease_seconds))
        if once:
            done = worker.run_once()
            self.stdout.write(f"Nothing is due any more; {done:,} events and deadlines handled.")
            return
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
            f"{LONGEST_SECONDS}."
        )
    return seconds


def _stop_at_signals(worker: Worker) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _watch_input(worker: Worker) -> None:
    sys.stdin.buffer.read()
    worker.stop()
