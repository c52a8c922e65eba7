"""`manage.py subscriptions`: how far everybody is, and what a person does about what is parked."""

from collections.abc import Iterator

import pytest
from django.core.management.base import CommandError

from events.bus import event_bus
from events.durable.catching_up import catch_up
from events.log import read
from events.models import Event, HeldStream, SubscriptionCheckpoint
from tests.api.things import LEDGER, park
from tests.jobs.conftest import live_a_little, manage, shell

LATER = "Deliberately late."


@pytest.fixture
def ledger() -> Iterator[list[str]]:
    """What the subscription LEDGER hears: of each event its agent."""
    heard: list[str] = []
    event_bus.subscribe(
        "AgentCreatedEvent", lambda e: heard.append(e.agent_id), name=LEDGER, start="beginning"
    )
    yield heard
    event_bus.unsubscribe(LEDGER)


@pytest.fixture
def parked(acme: str, ledger: list[str]) -> str:
    """Acme, where the ledger has read all but what the agent "one" did, which is parked."""
    live_a_little(acme)
    park(acme, "one")
    for subscription in event_bus.subscriptions.values():
        catch_up(subscription, acme)
    assert ledger == ["two", "idle"]
    return acme


def standing(said: str) -> dict[str, list[str]]:
    """The table's rows by the subscription's name, each as its words."""
    rows = [line.split() for line in said.splitlines() if "  " in line]
    return {row[1]: row for row in rows[1:]}


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as refusal:
        manage("subscriptions", *arguments)
    return str(refusal.value)


def test_it_shows_how_far_each_is_and_ends_well_when_nobody_is_needed(acme: str) -> None:
    live_a_little(acme)
    catch_up(event_bus.subscriptions["tasks"], acme)
    end = read.head(acme)
    assert end is not None

    said = manage("subscriptions", "--tenant", acme).out

    seq = str(end.seq)
    assert said.startswith("tenant")
    assert standing(said)["tasks"] == [acme, "tasks", seq, seq, "0", "0", "up", "to", "date"]
    assert standing(said)["fleet"][:5] == [acme, "fleet", "0", seq, seq]
    assert standing(said)["fleet"][-1] == "behind"
    assert said.splitlines()[-1].endswith("none needs a person.")


def test_it_ends_badly_while_something_is_parked_and_says_at_what_in_plain_words(
    subprocess_env: dict[str, str], acme: str, parked: str, globex: str
) -> None:
    HeldStream.objects.filter(tenant=parked).update(last_error="RuntimeError: \x1b[31mno\nno")

    every = shell(subprocess_env, "subscriptions")
    hers = shell(subprocess_env, "subscriptions", "--tenant", globex)

    assert every.returncode == 1
    assert f"{parked}: {LEDGER}: one at seq 1, held since" in every.stdout
    assert "parked after 6 tries: RuntimeError:  [31mno no\n" in every.stdout
    assert "subscriptions need a person: --retry or --skip" in every.stderr
    assert every.stderr.count("\n") == 1
    assert hers.returncode == 0
    assert parked not in hers.stdout
    assert "1 tenants" in hers.stdout.splitlines()[-1]


def test_a_retry_goes_on_where_it_failed(parked: str, ledger: list[str]) -> None:
    said = manage("subscriptions", "--tenant", parked, "--retry", LEDGER, "one")
    catch_up(event_bus.subscriptions[LEDGER], parked)

    assert said.out == f"{LEDGER} tries one of {parked} again.\n"
    assert ledger == ["two", "idle", "one"]
    assert standing(manage("subscriptions", "--tenant", parked).out)[LEDGER][-1] == "date"


def test_a_skip_leaves_the_event_out_and_is_a_fact(parked: str, ledger: list[str]) -> None:
    said = manage("subscriptions", "--tenant", parked, "--skip", LEDGER, "one", "--reason", LATER)
    catch_up(event_bus.subscriptions[LEDGER], parked)

    assert said.out == f"{LEDGER} goes on with one of {parked} after that event.\n"
    assert ledger == ["two", "idle"]
    assert not HeldStream.objects.filter(tenant=parked).exists()
    fact = Event.objects.get(tenant=parked, type="EventSkipped")
    assert (fact.actor, LATER in fact.data) == ("system:manage", True)
    assert "manage.py subscriptions by" in (fact.origin or "")


def test_one_that_stopped_needs_a_person(acme: str) -> None:
    park(acme)
    SubscriptionCheckpoint.objects.filter(tenant=acme).update(stopped_reason="Restored.")

    assert "1 of" in refused("--tenant", acme)


def test_one_that_waits_for_the_database_and_one_that_is_no_more_need_nobody(acme: str) -> None:
    park(acme)
    SubscriptionCheckpoint.objects.filter(tenant=acme).update(failures=3, last_error="Away.")

    said = manage("subscriptions", "--tenant", acme).out

    assert f"{acme}: {LEDGER} has failed 3 times in a row and tries again: Away.\n" in said
    assert standing(said)[LEDGER][-1] == "gone"


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["--retry", LEDGER, "one"], "Say with --tenant whose stream it is."),
        (["--skip", LEDGER, "one", "--reason", "x"], "Say with --tenant whose stream it is."),
        (["--tenant", "nobody-s", "--retry", LEDGER, "one"], "There is no tenant 'nobody-s'"),
        (["--tenant", "{}", "--skip", LEDGER, "one"], "--skip and --reason go together."),
        (["--tenant", "{}", "--reason", "x"], "--skip and --reason go together."),
        (["--tenant", "{}", "--retry", LEDGER, "two"], f"{LEDGER} has nothing parked of two"),
        (["--tenant", "{}", "--retry", "tasks", "one"], "tasks has nothing parked of one"),
        (["--tenant", "{}", "--retry", "\udcff", "one"], "There is no subscription '\\udcff'"),
        (["--tenant", "{}", "--skip", LEDGER, "one", "--reason", " "], "A reason has 1 to"),
        (["--tenant", "{}", "--skip", LEDGER, "two", "--reason", "x"], "has nothing parked of two"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    parked: str, arguments: list[str], refusal: str
) -> None:
    assert refusal in refused(*(each.replace("{}", parked) for each in arguments))
    assert HeldStream.objects.get(tenant=parked).parked_at is not None


def test_mallorys_tenant_has_nothing_of_acmes_to_move(parked: str, globex: str) -> None:
    assert "has nothing parked of one" in refused("--tenant", globex, "--retry", LEDGER, "one")
