"""What a stream shows of sealed payloads: by role, and nothing that was erased before."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from events.confidential import erase as erasing
from events.confidential.reveal import Keys, read_keys
from events.log import cursor
from events.log import read as log
from events.log.cursor import BEGINNING
from events.patterns import Pattern
from events.tenants import issue_token
from projections.stream import keys as stream_keys
from projections.stream.follower import Order
from projections.stream.passes import Pass
from projections.stream.reading import ReadingThreads
from projections.stream.streams import Streams
from projections.stream.wishes import Filter
from tests.confidential.conftest import BY, INPUT, RESULT, assign, complete, payload_in, stored, why
from tests.stream.test_following import Client, follow, in_thread, run

TASKS = Filter(types=Pattern.of("AgentTask*"))


def order(tenant: str, *, plain: bool = True, schema: str | None = None) -> Order:
    token, _ = issue_token(tenant, "x", "admin", by=BY)
    head = cursor.head(tenant)
    entry = Pass(tenant, "admin", token_id=token.pk)
    return Order(
        entry=entry,
        filter=TASKS,
        schema=schema,
        show_origin=False,
        start=BEGINNING,
        head=head,
        reads_payloads=plain,
    )


def payloads(client: Client) -> list[Any]:
    return [payload_in(each.json["data"]) for each in client.heard if each.is_of_the_log]


def head_id(tenant: str) -> str:
    """The id on the wire of the last event about a task."""
    rows = [row for row in log.after(tenant, 0, 100) if row.type.startswith("AgentTask")]
    return f"{rows[-1].seq}-{bytes(rows[-1].hash).hex()[:8]}"


def test_each_client_reads_what_its_role_allows_live_and_from_the_past(acme: str) -> None:
    assign(acme)
    wanted = [
        order(acme),
        order(acme, plain=False),
        order(acme, schema="stored"),
        order(acme, schema="1.0"),
    ]

    async def scenario(streams: Streams) -> None:
        clients = [Client() for _ in wanted]
        tasks = [await follow(streams, *each) for each in zip(wanted, clients, strict=True)]
        for client in clients:
            await client.has_heard(await in_thread(head_id, acme))
        await in_thread(complete, acme)
        last = await in_thread(head_id, acme)
        for client in clients:
            await client.has_heard(last)
            client.leave()
        await asyncio.gather(*tasks)
        reader, auditor, as_stored, pinned = map(payloads, clients)
        assert reader == pinned == [INPUT, RESULT]
        assert auditor == [why("sealed")] * 2
        assert as_stored == await in_thread(stored, acme)

    run(scenario)


def test_what_was_erased_is_not_told_again_although_the_tail_has_it_at_hand(acme: str) -> None:
    assign(acme)
    orders = [order(acme), order(acme), order(acme, plain=False)]
    # From here on the tail has every event at hand, so that nobody reads a page.
    here = cursor.head(acme)
    wanted, *later = [replace(each, start=here) for each in orders]

    async def scenario(streams: Streams) -> None:
        first = Client()
        following = [await follow(streams, wanted, first)]
        await first.has_heard(here.id)
        await in_thread(complete, acme)
        last = await in_thread(head_id, acme)
        await first.has_heard(last)
        assert payloads(first) == [RESULT]
        await in_thread(lambda: erasing.erase(acme, task_id="t-1", reason="x", by=BY))
        clients = [Client(), Client()]
        for each, client in zip(later, clients, strict=True):
            following.append(await follow(streams, each, client))
            await client.has_heard(last)
            assert payloads(client) == [why("erased")]
        for client in (first, *clients):
            client.leave()
        await asyncio.gather(*following)

    run(scenario)


def test_clients_that_one_event_wakes_ask_for_its_key_together(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[int] = []

    def counted(tenant: str, key_ids: Iterable[str]) -> Keys:
        questions.append(1)
        return read_keys(tenant, key_ids)

    monkeypatch.setattr(stream_keys, "read_keys", counted)
    wanted = [order(acme) for _ in range(8)]

    async def scenario(streams: Streams) -> None:
        clients = [Client() for _ in wanted]
        tasks = [await follow(streams, *each) for each in zip(wanted, clients, strict=True)]
        await asyncio.sleep(0.3)
        await in_thread(assign, acme)
        for client in clients:
            await client.has_heard(await in_thread(head_id, acme))
            assert payloads(client) == [INPUT]
            client.leave()
        await asyncio.gather(*tasks)

    run(scenario)
    assert len(questions) <= 3


def test_an_answer_about_keys_is_never_older_than_the_question(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks while a question is under way gets the answer to the next one."""
    asked: list[set[str]] = []
    going, go_on = asyncio.Event(), asyncio.Event()

    async def ask(_: object, __: object, ___: str, key_ids: Iterable[str]) -> Keys:
        asked.append(set(key_ids))
        going.set()
        await go_on.wait()
        return Keys({}, {str(len(asked)): b""})

    monkeypatch.setattr(ReadingThreads, "ask", ask)

    async def scenario() -> None:
        reader = stream_keys.KeyReader(acme, ReadingThreads())
        first = [asyncio.create_task(reader.read([each])) for each in ("a", "b")]
        await going.wait()
        second = asyncio.create_task(reader.read(["c"]))
        await asyncio.sleep(0.01)
        go_on.set()
        answers = await asyncio.gather(*first)
        assert answers[0] is answers[1]
        assert await second is not answers[0]

    asyncio.run(scenario())
    assert asked == [{"a", "b"}, {"c"}]


def test_a_database_that_does_not_answer_ends_the_stream_and_loses_nothing(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)
    wanted = order(acme)

    def gone(*_: object) -> None:
        raise OperationalError("gone")

    async def scenario(streams: Streams) -> None:
        client = Client()
        with monkeypatch.context() as broken:
            broken.setattr(stream_keys, "read_keys", gone)
            await (await follow(streams, wanted, client))
        assert client.finished
        assert client.ids == []

    run(scenario)
