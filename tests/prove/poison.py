"""`python -m tests.prove.poison`: one agent's event that a subscription cannot handle.

Ten agents work; a reaction fails at every event of the first of them from a moment on. Its stream
has to be parked within a minute, and the others must not be over five seconds behind meanwhile.
Then the handler is mended and a person has the stream tried again: not an event may be missing, and
each agent's must have come in order.
"""

import signal
import sys
import time
from collections import defaultdict
from functools import partial
from typing import Any

from tests.prove.engines import HERE, folder, on_both
from tests.prove.forks import end, fleet, forked, toil, work

AGENTS = 10
TENANT, POISONED = "acme", "a-0"
GIVE_UP_SECONDS = 90


def main(arguments: list[str]) -> int:
    if HERE in arguments:
        prove()
        return 0
    return on_both("tests.prove.poison", arguments)


def prove() -> None:
    """Print what was measured. Raises AssertionError."""
    import django

    django.setup()
    from events.durable import held, status

    fleet(TENANT, AGENTS)
    broken = folder() / "broken"
    worker, writer = forked(partial(_work, 10.0)), forked(partial(toil, TENANT, AGENTS))
    try:
        time.sleep(3)
        broken.touch()
        began, furthest, parked_after = time.monotonic(), 0.0, 0.0
        while not parked_after:
            assert time.monotonic() - began < GIVE_UP_SECONDS, "it is not parked"
            time.sleep(0.1)
            (state,) = [each for each in status.states(TENANT) if each.name == "prove-poison"]
            furthest = max(furthest, state.lag_seconds)
            if state.parked:
                parked_after = time.monotonic() - began
        time.sleep(2)
        broken.unlink()
        held.retry(TENANT, "prove-poison", POISONED)
        time.sleep(2)
        end(writer, signal.SIGTERM)
        writer = 0
        until = time.monotonic() + GIVE_UP_SECONDS
        while True:
            (state,) = [each for each in status.states(TENANT) if each.name == "prove-poison"]
            if not state.lag_events and not state.retrying and not state.parked:
                break
            assert time.monotonic() < until, state
            time.sleep(0.1)
    finally:
        for pid in filter(None, (worker, writer)):
            end(pid, signal.SIGTERM)
    events = _compare()
    assert parked_after < 60
    assert furthest < 5
    print(
        f"  parked after {parked_after:.0f} s; meanwhile the others were at most {furthest:.2f} s "
        f"behind; after the retry all {events:,} events were handled, each stream in order",
        flush=True,
    )


def _work(lease_seconds: float) -> None:
    from events.bus import event_bus

    broken, ledger = folder() / "broken", (folder() / "ledger").open("a", encoding="ascii")

    def react(event: Any) -> None:
        if event.envelope.stream_id == POISONED and broken.exists():
            raise ValueError("It cannot be handled.")
        ledger.write(f"{event.envelope.stream_id} {event.envelope.stream_version}\n")
        ledger.flush()

    event_bus.subscribe("*", react, name="prove-poison", start="beginning")
    work(lease_seconds)


def _compare() -> int:
    from django.db.models import Count

    from events.models import Event

    heard: dict[str, list[int]] = defaultdict(list)
    for line in (folder() / "ledger").read_text(encoding="ascii").splitlines():
        stream, version = line.split()
        heard[stream].append(int(version))
    events = Event.objects.filter(tenant=TENANT)
    for stream, count in events.values_list("stream_id").annotate(Count("seq")).order_by():
        assert heard[stream] == list(range(1, count + 1)), f"{stream}: {heard[stream][:20]} …"
    return events.count()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
