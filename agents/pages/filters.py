"""What a person asks of the list of agents, as it stands in the address.

The grammar is the API's: a comma means or, a repeated tag means and, a * may stand at the end.
What means nothing is not dropped in silence: it is named, and nothing is listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from agents import fleet
from agents.domain import limits
from events.pages.parameters import MAX_TEXT
from events.patterns import BadPattern, Pattern

MOST_TAGS = 20  # to be asked for at once
PARAMETERS = ("status", "intent", "health", "capability", "level", "tag", "q")
LEVELS = tuple(str(level) for level in range(limits.MIN_LEVEL, limits.MAX_LEVEL + 1))


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty means any; terminated agents are asked for by status or intent, or are left out.

    faults: of a parameter what it must be, where it is not.
    """

    statuses: Sequence[str] = ()
    intents: Sequence[str] = ()
    healths: Sequence[str] = ()
    capability: str = ""
    level: str = ""
    tags: Sequence[str] = ()
    text: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_state or self.by_content)

    @property
    def by_state(self) -> bool:
        return bool(self.statuses or self.intents or self.healths)

    @property
    def by_content(self) -> bool:
        """Whether it is asked for what no count of the current rows knows."""
        return bool(self.capability or self.level or self.tags or self.text)

    @property
    def wanted(self) -> fleet.Wanted:
        """Only where there are no faults."""
        return fleet.Wanted(
            statuses=self.statuses or None,
            intents=self.intents or None,
            healths=self.healths or None,
            capability=Pattern.of(self.capability) if self.capability else None,
            min_level=int(self.level) if self.level else limits.MIN_LEVEL,
            tags=[Pattern.of(tag) for tag in self.tags],
            text=self.text or None,
        )

    @property
    def query(self) -> str:
        """As it stands in an address, without the `?`."""
        found = QueryDict(mutable=True)
        for name, values in (
            ("status", self.statuses),
            ("intent", self.intents),
            ("health", self.healths),
        ):
            if values:
                found[name] = ",".join(values)
        for name, value in (
            ("capability", self.capability),
            ("level", self.level),
            ("q", self.text),
        ):
            if value:
                found[name] = value
        found.setlist("tag", list(self.tags))
        return found.urlencode()


def filters_of(query: QueryDict) -> Filters:
    faults: dict[str, str] = {}
    found: dict[str, Any] = {
        "statuses": _some_of(query, "status", fleet.STATUSES, faults),
        "intents": _some_of(query, "intent", fleet.INTENTS, faults),
        "healths": _some_of(query, "health", fleet.HEALTHS, faults),
        "capability": _text(query.get("capability", "")),
        "level": _text(query.get("level", "")),
        "tags": [tag for each in query.getlist("tag") if (tag := _text(each))][:MOST_TAGS],
        "text": _text(query.get("q", "")),
    }
    for name, patterns in (("capability", [found["capability"]]), ("tag", found["tags"])):
        for each in filter(None, patterns):
            _refuse_bad(name, each, faults)
    if found["level"] and found["level"] not in LEVELS:
        faults["level"] = f"must be {LEVELS[0]} to {LEVELS[-1]}."
    elif found["level"] and not found["capability"]:
        faults["level"] = "is the level of a capability: name that too."
    return Filters(**found, faults=faults)


def _some_of(
    query: QueryDict, name: str, allowed: Sequence[str], faults: dict[str, str]
) -> list[str]:
    wanted = [each for part in _text(query.get(name, "")).split(",") if (each := part.strip())]
    if any(each not in allowed for each in wanted):
        faults[name] = f"must be one or more of {', '.join(allowed)}."
    return wanted


def _refuse_bad(name: str, text: str, faults: dict[str, str]) -> None:
    try:
        Pattern.of(text)
    except BadPattern as error:
        faults[name] = str(error)


def _text(given: str) -> str:
    """Without NUL, which no database would compare, and not longer than a name."""
    return given.replace("\0", "").strip()[:MAX_TEXT]
