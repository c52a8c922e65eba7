"""Whatever way an agent's facts are cut into appends, the same states are kept."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents import states
from agents.current import FOLD
from agents.domain import decide
from agents.domain.evolve import fold
from agents.domain.state import Agent
from agents.models import AgentState
from events.facts import DomainEvent
from events.log.rows import How
from tests.domain.fleet import NOW, creation, registered


def history(length: int) -> list[DomainEvent]:
    """A creation and changes that all differ."""
    agent = registered()
    changes = [decide.update(agent, metadata={"n": n}, now=NOW)[0] for n in range(1, length)]
    return [*creation(), *changes]


@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_every_sixteenth_version_is_kept_however_the_facts_are_cut_into_appends(
    cuts: list[int],
) -> None:
    facts = history(sum(cuts))
    agent: Agent | None = None
    version, kept = 0, {}
    for length in cuts:
        agent, rows = states.on_the_way(agent, version, facts[version : version + length])
        version += length
        for row in rows:
            assert (row.model, row.how, row.seq_column) == (AgentState, How.UPSERT, "seq")
            assert row.values["fold"] == FOLD
            kept[row.key["version"]] = row.values["state"]
            # Each fact of this history has one seq: its version.
            assert version - row.events_after == row.key["version"]

    assert agent == fold(facts)
    assert list(kept) == list(range(16, len(facts) + 1, 16))
    for at, state in kept.items():
        assert msgspec.json.decode(state, type=Agent) == fold(facts[:at])
