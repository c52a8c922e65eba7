"""A log into a local nats-server, from start to the last acknowledgement, beside the raw way.

Raw is the same messages, made beforehand and published by the same client with as many on their
way, with neither ids nor conditions. The server keeps the stream in files, both times.
"""

import asyncio
import tempfile
import threading
import time
import uuid
from io import BytesIO
from pathlib import Path

import django

EVENTS = 20_000
ROUNDS = 3


def main() -> None:
    django.setup()
    from events.transfer.importing import import_log
    from tests.bench.export import file_of
    from tests.relay.broker import ABSENT, NATS_SERVER, Broker

    if NATS_SERVER is None:
        print(f"Not measured: {ABSENT}.")
        return
    rates, raw_rates = [], []
    for _ in range(ROUNDS):
        slug = f"bench-{uuid.uuid4().hex[:12]}"
        import_log(BytesIO(file_of(slug, EVENTS)))
        with tempfile.TemporaryDirectory(prefix="agentmesh-nats-") as folder:
            broker = Broker(Path(folder))
            broker.start()
            try:
                rates.append(EVENTS / _relay(broker.url, slug))
                raw_rates.append(EVENTS / _raw(broker.url, slug))
            finally:
                broker.kill()
    ratios = sorted(rate / raw for rate, raw in zip(rates, raw_rates, strict=True))
    print("| what | events/s (best) | raw, messages/s | ratio within a round |")
    print("|---|---|---|---|")
    print(
        f"| relay, {EVENTS:,} events | {max(rates):,.0f} | {max(raw_rates):,.0f} "
        f"| {ratios[0]:.2f} to {ratios[-1]:.2f} |"
    )


def _relay(url: str, slug: str) -> float:
    """Seconds from the relay's start until the stream holds the whole log."""
    from django.conf import settings

    from events.duties import Beside
    from projections import relay
    from tests.relay.relaying import Watchful, only

    settings.NATS_URLS = (url,)
    only([slug])
    stop = threading.Event()
    began = time.perf_counter()
    thread = threading.Thread(target=relay.run, args=[Beside(stop, Watchful([slug]))])
    thread.start()
    seconds = asyncio.run(_until_there(url, began))
    stop.set()
    thread.join()
    return seconds


async def _until_there(url: str, began: float) -> float:
    import nats
    from nats.js.errors import NotFoundError

    client = await nats.connect(url)
    js = client.jetstream()
    while True:
        try:
            if (await js.stream_info("AGENTMESH")).state.messages == EVENTS:
                break
        except NotFoundError:
            pass
        await asyncio.sleep(0.02)
    await client.close()
    return time.perf_counter() - began


def _raw(url: str, slug: str) -> float:
    from events.log.cursor import BEGINNING
    from projections.relay import messages

    made = [
        (each.subject, each.body)
        for each in messages.page(slug, BEGINNING, EVENTS)
        if isinstance(each, messages.Message)
    ]
    return asyncio.run(_publish(url, made))


async def _publish(url: str, made: list[tuple[str, bytes]]) -> float:
    import nats
    from nats.aio.msg import Msg

    from projections.relay.pipeline import AT_ONCE

    client = await nats.connect(url)
    js = client.jetstream()
    await js.delete_stream("AGENTMESH")
    await js.add_stream(name="RAW", subjects=["agentmesh.>"])
    room, inbox = asyncio.Semaphore(AT_ONCE), client.new_inbox()

    async def acknowledged(_: Msg) -> None:
        room.release()

    await client.subscribe(inbox, cb=acknowledged)
    began = time.perf_counter()
    for subject, body in made:
        await room.acquire()
        await client.publish(subject, body, inbox)
    for _ in range(AT_ONCE):
        await room.acquire()
    seconds = time.perf_counter() - began
    await client.close()
    return seconds


if __name__ == "__main__":
    main()
