"""A log that is not the one that was relayed is never spliced to it."""

import pytest
from django.core.management import CommandError

from events.log.cursor import BEGINNING
from projections.relay import notes
from projections.relay.models import RelayedLog
from projections.relay.standing import Noted
from tests.jobs.conftest import manage
from tests.relay.broker import Broker
from tests.relay.conftest import Relaying, all_of, assert_whole, until
from tests.stream.people import Fleet


def relay_once(broker: Broker, fleet: Fleet, seq: int, hash_: str) -> None:
    """A message as of a log that a restored backup has made forget it."""
    broker.publish(
        f"agentmesh.{fleet.tenant}.AgentCreatedEvent.a-1",
        b"{}",
        Nats_Msg_Id="lost",
        AgentMesh_Seq=str(seq),
        AgentMesh_Hash=hash_,
    )


def stopped_reason(fleet: Fleet) -> str:
    rows = RelayedLog.objects.filter(tenant=fleet.tenant)
    return next((row.stopped_reason or "" for row in rows), "")


@pytest.fixture
def relayed(broker: Broker, relaying: Relaying, acme: Fleet, globex: Fleet) -> Broker:
    """The server, with both tenants' logs in its stream."""
    with relaying(broker, acme, globex):
        all_of(broker, acme, globex)
    return broker


@pytest.mark.parametrize(
    ("seq", "said"),
    [(99, "The log has become shorter."), (2, "The log has been replaced.")],
)
def test_a_restored_log_is_stopped_and_the_others_go_on(
    relayed: Broker,
    relaying: Relaying,
    acme: Fleet,
    globex: Fleet,
    caplog: pytest.LogCaptureFixture,
    seq: int,
    said: str,
) -> None:
    relay_once(relayed, acme, seq, "ab" * 32)
    end = relayed.end()
    with relaying(relayed, acme, globex):
        acme.beat(2)
        globex.beat(3)
        until(lambda: stopped_reason(acme))
        until(lambda: relayed.end() == end + 3)

    assert_whole(relayed.stored(), globex)
    assert said in stopped_reason(acme)
    assert f"The relay of {acme.tenant} is stopped." in caplog.text


def test_a_stopped_log_stays_so_until_a_person_says_where_it_goes_on(
    relayed: Broker, relaying: Relaying, acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    relay_once(relayed, acme, 99, "ab" * 32)
    with relaying(relayed, acme):
        until(lambda: stopped_reason(acme))
    end = relayed.end()
    caplog.clear()
    with relaying(relayed, acme):
        until(lambda: caplog.messages)  # it is connected, and has looked
        acme.beat(2)
        assert relayed.end() == end

        manage("resume_relay", acme.tenant, "--after", "4")
        until(lambda: relayed.end() == end + 2)

    assert [m.seq for m in relayed.stored(f"agentmesh.{acme.tenant}.>")] == [1, 2, 3, 4, 99, 5, 6]
    assert not stopped_reason(acme)


def test_a_resumed_log_goes_on_from_there_after_a_restart_too(
    relayed: Broker, relaying: Relaying, acme: Fleet
) -> None:
    relay_once(relayed, acme, 99, "ab" * 32)
    with relaying(relayed, acme):
        until(lambda: stopped_reason(acme))
    end = relayed.end()

    manage("resume_relay", acme.tenant, "--after", "head")
    acme.beat(1)
    with relaying(relayed, acme):
        until(lambda: relayed.end() == end + 1)

    assert relayed.stored()[-1].seq == 5


def test_a_relay_that_does_not_know_of_a_stop_leaves_its_note(
    relayed: Broker, relaying: Relaying, acme: Fleet
) -> None:
    relay_once(relayed, acme, 99, "ab" * 32)
    with relaying(relayed, acme):
        until(lambda: stopped_reason(acme))
    before = notes.noted([acme.tenant])

    notes.note({acme.tenant: Noted(BEGINNING, "another time", 1)})

    assert notes.noted([acme.tenant]) == before


def test_what_a_killed_relay_did_not_note_the_next_one_notes(
    relayed: Broker, relaying: Relaying, acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    RelayedLog.objects.filter(tenant=acme.tenant).delete()
    caplog.clear()
    with relaying(relayed, acme):
        until(lambda: "Relaying to" in caplog.text)  # and nothing waits

    assert notes.noted([acme.tenant])[acme.tenant].position.seq == acme.head


def test_a_message_of_somebody_else_under_a_tenants_name_stops_it(
    relayed: Broker, relaying: Relaying, acme: Fleet
) -> None:
    relayed.publish(f"agentmesh.{acme.tenant}.Noise._", b"{}")
    with relaying(relayed, acme):
        until(lambda: stopped_reason(acme))

    assert stopped_reason(acme) == "The stream's last message of it is not the relay's."


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("99", "log has no event 99."),
        ("-1", "--after is a seq, 0 or head, not '-1'."),
        ("4", "The relay is not stopped in "),
    ],
)
def test_a_resume_that_cannot_be_is_refused(acme: Fleet, after: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        manage("resume_relay", acme.tenant, f"--after={after}")
