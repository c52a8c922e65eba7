"""A task's input or result as a person reads it, or why they do not."""

from dataclasses import dataclass

import msgspec

from events.confidential.form import MARK, is_sealed
from events.confidential.reveal import Why
from events.facts import JSON

_WORDS = {
    Why.ERASED: "Erased: the key that opened it was destroyed.",
    Why.MISSING: "Sealed, and its key is not here: this log came without its keys.",
    Why.SEALED: "Sealed: your role does not read confidential payloads.",
    Why.LOCKED: "Sealed, and the key that wraps its key is not configured on this server.",
    Why.UNREADABLE: "Sealed, and its ciphertext or its key is damaged.",
}


@dataclass(frozen=True, slots=True)
class ShownPayload:
    """text: as JSON, "" where there is none or it is not shown; withheld: why not, in a sentence,
    "" where it is."""

    text: str = ""
    withheld: str = ""


def shown(revealed: JSON) -> ShownPayload:
    """revealed: as `events.confidential.reveal` gives it."""
    if revealed is None:
        return ShownPayload()
    if is_sealed(revealed):
        why = revealed[MARK]
        known = next((each for each in Why if each.value == why), Why.SEALED)
        return ShownPayload(withheld=_WORDS[known])
    return ShownPayload(text=msgspec.json.format(msgspec.json.encode(revealed), indent=2).decode())
