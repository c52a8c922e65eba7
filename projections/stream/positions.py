"""Places in a log, and their ids on the wire: `<seq>-<first 8 hex digits of that event's hash>`."""

import re
from dataclasses import dataclass

from events.log.cursor import Position

ID = r"(0|[1-9][0-9]{0,18})(?:-([0-9a-f]{8}))?"

_ID = re.compile(ID)
_MAX_SEQ = 2**63 - 1


class MalformedId(ValueError):
    """A text that is no id of a place in any log."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Where a client says it is. mark: the first bytes of that event's hash; empty: not given."""

    seq: int
    mark: bytes

    def fits(self, position: Position) -> bool:
        return position.hash.startswith(self.mark)


def parse_id(text: str) -> Claim:
    """The claim that an id makes. Raises MalformedId."""
    match = _ID.fullmatch(text)
    # Nothing comes before the first event, so 0 has no hash to be marked with.
    if match is None or int(match[1]) > _MAX_SEQ or (match[1] == "0" and match[2]):
        raise MalformedId
    return Claim(int(match[1]), bytes.fromhex(match[2] or ""))
