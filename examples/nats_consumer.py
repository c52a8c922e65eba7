"""Keep a copy of AgentMesh's logs, out of its JetStream stream: `python examples/nats_consumer.py`.

NATS_URL (nats://127.0.0.1:4222) is the server, COPY (copy.sqlite3) the file, SUBJECT (agentmesh.>)
what to take. Needs nats-py alone. Stop and start it as you like: the consumer is durable, and a
message is acknowledged after its row is committed. So one may come twice, and is known by its seq.
"""

import asyncio
import os
import sqlite3

import nats
from nats.errors import TimeoutError as NothingNew
from nats.js.api import ConsumerConfig

URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
SUBJECT = os.environ.get("SUBJECT", "agentmesh.>")
TABLE = "CREATE TABLE IF NOT EXISTS event (tenant, seq, id, body, PRIMARY KEY (tenant, seq))"


class AnotherLog(Exception):
    """Two events claim one place: the log was restored from a backup. A person has to decide."""


def keep(copy: sqlite3.Connection, tenant: str, seq: int, event_id: str, body: bytes) -> None:
    """Once, however often it comes."""
    row = tenant, seq, event_id, body
    copy.execute("INSERT INTO event VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row)
    place = "SELECT id FROM event WHERE tenant = ? AND seq = ?"
    if copy.execute(place, (tenant, seq)).fetchone() != (event_id,):
        raise AnotherLog(f"{tenant} has another event {seq}. See docs/relay.md.")


async def main() -> None:
    copy = sqlite3.connect(os.environ.get("COPY", "copy.sqlite3"))
    copy.execute(TABLE)
    client = await nats.connect(URL, max_reconnect_attempts=-1)
    settings = ConsumerConfig(max_ack_pending=1000)
    consumer = await client.jetstream().pull_subscribe(
        SUBJECT, durable="copy", stream="AGENTMESH", config=settings
    )
    while True:
        try:
            batch = await consumer.fetch(500, timeout=5)
        except NothingNew:
            continue
        with copy:  # one transaction
            for message in batch:
                tenant, headers = message.subject.split(".")[1], message.headers or {}
                seq, event_id = int(headers["AgentMesh-Seq"]), headers["Nats-Msg-Id"]
                keep(copy, tenant, seq, event_id, message.data)
        for message in batch:
            await message.ack()
        print(f"{len(batch)} events", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
