"""What comes into the stream, of a relay that nobody disturbs."""

from tests.relay.broker import Broker
from tests.relay.conftest import Relaying, all_of, assert_whole
from tests.stream.people import Fleet


def test_every_log_comes_into_the_stream_whole_and_in_order(
    broker: Broker, relaying: Relaying, acme: Fleet, globex: Fleet
) -> None:
    acme.beat(30)
    with relaying(broker, acme, globex):
        stored = all_of(broker, acme, globex)
        acme.beat(3)
        globex.beat(2)
        stored = all_of(broker, acme, globex)

    assert_whole(stored, acme)
    assert_whole(stored, globex)
