"""What is wrong with a query, where, and what to write instead."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLOSE = 0.6  # of 1: how alike two words must be for one to be offered in place of the other


@dataclass(frozen=True, slots=True)
class Fault:
    """The characters start … end (not included) of the text, and a sentence about them."""

    start: int
    end: int
    message: str


class BadQuery(ValueError):
    """The text means nothing; `faults`, of which there is at least one, stand in its order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(" ".join(fault.message for fault in self.faults))


def nearest(word: str, known: Sequence[str]) -> list[str]:
    """The known word that looks most like this one, if any does."""
    folded = {each.casefold(): each for each in known}
    if (same := folded.get(word.casefold())) is not None:
        return [same]
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=CLOSE)
    return [folded[each] for each in found]


def meant(words: Sequence[str]) -> str:
    """` Did you mean a or b?`; nothing when there is nothing to offer."""
    return f" Did you mean {' or '.join(f'`{word}`' for word in words)}?" if words else ""
