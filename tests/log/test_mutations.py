"""A sample of the changes that `make prove` makes by the thousand: every kind of them once."""

from collections.abc import Callable
from random import Random

import pytest

from tests.prove import logs, trial
from tests.prove.mutations import FORGED, KINDS

pytestmark = pytest.mark.usefixtures("in_scratch_database")


def test_every_kind_of_change_is_found_at_its_seq(fresh_slug: Callable[[str], str]) -> None:
    random = Random(20260301)
    tenant = logs.grow(fresh_slug("acme"), random, 24)
    other = logs.grow(fresh_slug("globex"), random, 8)

    made = trial.try_all(tenant, other, [*KINDS, *list(FORGED) * 3], random)

    assert made.keys() == KINDS.keys()


def test_a_log_that_was_only_appended_to_is_never_suspected(
    fresh_slug: Callable[[str], str],
) -> None:
    random = Random(1)
    for events in (1, 5, 30):
        tenant = logs.grow(fresh_slug("acme"), random, events)
        checkpoints = trial.some_checkpoints(tenant, trial.end(tenant), random)

        assert trial.verdict(tenant) is None
        assert trial.verdict(tenant, checkpoints) is None
