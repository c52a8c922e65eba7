"""Messages on their way: each is taken only behind the very one that it was sent after."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from nats.aio.client import Client

from events.log.cursor import Position
from projections.relay.messages import HASH, MSG_ID, NAME, SEQ, Message
from projections.relay.pipeline import Overtaken, Pipeline, Refused, Unsettled
from projections.relay.stream import Stream
from tests.relay.broker import Broker

Scene = Callable[[Client, Pipeline], Awaitable[None]]


def message(seq: int, size: int = 2) -> Message:
    position = Position(seq, bytes([seq]) * 32)
    headers = {MSG_ID: f"id-{seq}", SEQ: str(seq), HASH: position.hash.hex()}
    return Message("acme", position, "agentmesh.acme.T.a-1", b"x" * size, headers)


def play(broker: Broker, scene: Scene) -> None:
    async def playing(client: Client) -> None:
        look = await Stream(client).open()
        pipeline = Pipeline(client, look.last_seq)
        await pipeline.open()
        await scene(client, pipeline)

    broker.ask(playing)


def test_what_is_sent_arrives_in_its_place(broker: Broker) -> None:
    async def scene(_: Client, pipeline: Pipeline) -> None:
        for seq in (1, 2, 3):
            await pipeline.send(message(seq))
        await pipeline.settle()
        assert pipeline.take_arrived() == {"acme": (message(3).position, 3)}
        assert pipeline.take_arrived() == {}
        assert pipeline.is_empty

    play(broker, scene)
    assert broker.end() == 3


def test_where_another_gets_in_between_nothing_behind_it_is_taken(broker: Broker) -> None:
    async def scene(client: Client, pipeline: Pipeline) -> None:
        await client.request("agentmesh.globex.T.b-1", b"theirs")
        for seq in (1, 2, 3):  # the second one would be in the right place
            await pipeline.send(message(seq))
        with pytest.raises(Overtaken, match="wrong last sequence: 1"):
            await pipeline.settle()
        with pytest.raises(Overtaken):
            await pipeline.send(message(4))
        assert not pipeline.is_empty
        assert await pipeline.close() == {"acme"}

    play(broker, scene)
    assert broker.end() == 1


def test_what_another_has_sent_already_is_a_doubt_and_not_an_arrival(broker: Broker) -> None:
    async def scene(client: Client, pipeline: Pipeline) -> None:
        first = message(1)
        await client.request(first.subject, first.body, headers=dict(first.headers))
        await pipeline.send(first)
        with pytest.raises(Overtaken, match="has this event already"):
            await pipeline.settle()
        assert pipeline.take_arrived() == {}

    play(broker, scene)
    assert broker.end() == 1


def test_a_relay_that_slept_beyond_the_servers_memory_of_ids_adds_nothing(broker: Broker) -> None:
    window_seconds = 0.2
    settings = {"name": NAME, "subjects": ["agentmesh.>"], "storage": "file"}
    broker.api(f"STREAM.CREATE.{NAME}", settings | {"duplicate_window": int(window_seconds * 1e9)})

    async def scene(client: Client, sleeper: Pipeline) -> None:
        for seq in (1, 2):
            await sleeper.send(message(seq))
        await sleeper.settle()
        other = Pipeline(client, sleeper.last_seq)
        await other.open()
        for seq in (3, 4, 5):
            await other.send(message(seq))
        await other.settle()
        await asyncio.sleep(5 * window_seconds)

        for seq in (3, 4):
            await sleeper.send(message(seq))
        with pytest.raises(Overtaken, match="wrong last"):
            await sleeper.settle()

    play(broker, scene)
    assert broker.end() == 5


def test_a_message_beyond_what_the_server_takes_is_not_sent(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker("max_payload: 2000")
    broker.start()

    async def scene(_: Client, pipeline: Pipeline) -> None:
        with pytest.raises(Refused, match="the server takes 2000 bytes"):
            await pipeline.send(message(1, size=1_600))
        await pipeline.send(message(1, size=1_000))
        await pipeline.settle()

    play(broker, scene)
    assert broker.end() == 1


def test_a_stream_that_is_gone_is_a_doubt(broker: Broker) -> None:
    async def scene(client: Client, pipeline: Pipeline) -> None:
        await client.jetstream().delete_stream("AGENTMESH")
        await pipeline.send(message(1))
        with pytest.raises(Unsettled, match="the stream is gone"):
            await pipeline.watch()

    play(broker, scene)
