"""The list of agents turns both ways, now and in the past, and skips nobody either way."""

import pytest

from agents import fleet, services
from agents.fleet import Wanted
from events.log import read
from events.patterns import Pattern
from events.vocabulary import Capability
from tests.services.conftest import ALICE, create

AGENTS = [f"a-{number}" for number in range(7)]


def enlist(tenant: str) -> int:
    """Seven agents of levels 1 to 5, of which two are paused; where the log ends then."""
    for number, agent_id in enumerate(AGENTS):
        services.create_agent(
            tenant=tenant,
            agent_id=agent_id,
            name=agent_id,
            capabilities=[Capability("nlp", number % 5 + 1), Capability("ocr", 5)],
            by=ALICE,
        )
        services.activate_agent(tenant=tenant, agent_id=agent_id, by=ALICE)
    for agent_id in ("a-1", "a-5"):
        services.pause_agent(tenant=tenant, agent_id=agent_id, reason="x", by=ALICE)
    head = read.head(tenant)
    assert head is not None
    return head.seq


def ids(page: fleet.Page) -> list[str]:
    return [each.agent.agent_id for each in page.agents]


def backwards(tenant: str, wanted: Wanted, limit: int, seq: int | None) -> list[list[str]]:
    """The pages from the end to the beginning."""
    pages: list[list[str]] = []
    before: str | None = "b"
    while before is not None:
        page = fleet.page(tenant, wanted, limit=limit, before=before, seq=seq)
        pages.append(ids(page))
        before = page.next
    return pages


@pytest.mark.parametrize("in_the_past", [False, True])
def test_a_walk_back_meets_every_agent_once_and_keeps_each_page_in_order(
    acme: str, in_the_past: bool
) -> None:
    seq = enlist(acme) if in_the_past else None
    if in_the_past:
        create(acme, "a-9")  # came later
    else:
        enlist(acme)

    pages = backwards(acme, Wanted(), 3, seq)

    assert [page for page in pages if page] == [AGENTS[4:], AGENTS[1:4], AGENTS[:1]]
    paused = backwards(acme, Wanted(statuses=["PAUSED"]), 1, seq)
    assert [page for page in paused if page] == [["a-5"], ["a-1"]]


def test_a_walk_back_looks_at_a_bounded_number_too(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlist(acme)
    monkeypatch.setattr(fleet, "EXAMINED", 2)

    page = fleet.page(acme, Wanted(statuses=["BUSY"]), limit=3, before="b")

    assert (ids(page), page.next) == ([], "a-5")


def test_a_capability_can_be_asked_for_from_a_level_on(acme: str) -> None:
    enlist(acme)

    able = fleet.page(acme, Wanted(capability=Pattern.of("nlp"), min_level=4), limit=9)

    assert ids(able) == ["a-3", "a-4"]
