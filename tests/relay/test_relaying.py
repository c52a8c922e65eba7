"""What comes into the stream, of a relay that nobody disturbs."""

from projections.relay.models import RelayLink
from tests.relay.broker import Broker
from tests.relay.conftest import Relaying, all_of, assert_whole, until
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


def test_that_all_is_well_is_said_where_other_processes_read_it(
    broker: Broker, relaying: Relaying, acme: Fleet
) -> None:
    RelayLink.objects.all().delete()

    with relaying(broker, acme):
        all_of(broker, acme)
        until(lambda: RelayLink.objects.filter(connected_at__isnull=False).exists())

    assert (RelayLink.objects.get().server or "").startswith("127.0.0.1:")
