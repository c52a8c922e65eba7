"""Who carries a trace out: agents of several types, each with what its type can do."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypedDict
from zlib import crc32

from events.vocabulary import Capability


class Kind(NamedTuple):
    """A type of agent, and the names by which its agents go."""

    agent_type: str
    word: str
    description: str
    capabilities: tuple[Capability, ...]


KINDS = (
    Kind(
        "code-assistant",
        "coder",
        "Completes code in the editor.",
        (Capability("code-completion", 5), Capability("python", 4), Capability("refactoring", 3)),
    ),
    Kind(
        "code-reviewer",
        "reviewer",
        "Reads changes before people do.",
        (Capability("code-review", 4), Capability("python", 4), Capability("security", 2)),
    ),
    Kind(
        "test-writer",
        "tester",
        "Writes the tests that are missing.",
        (Capability("unit-tests", 5), Capability("python", 3)),
    ),
    Kind(
        "documentation-writer",
        "writer",
        "Keeps the documentation true.",
        (Capability("documentation", 4), Capability("translation", 2)),
    ),
)


@dataclass(frozen=True, slots=True)
class Member:
    """What an agent of a fleet is created with."""

    agent_id: str
    name: str
    kind: Kind
    tags: tuple[str, ...]


def member(number: int, tag: str) -> Member:
    """The fleet's agent of this number, from 1: coder-01, reviewer-01, tester-01, writer-01 …"""
    turn, place = divmod(number - 1, len(KINDS))
    kind = KINDS[place]
    label = f"{turn + 1:02d}"
    return Member(f"{kind.word}-{label}", f"{kind.word.capitalize()} {label}", kind, (tag,))


class Vitals(TypedDict):
    """What an agent says of itself in a heartbeat."""

    success_rate: float
    response_time_ms: int
    cpu_usage_percent: float
    memory_usage_percent: float


def vitals(agent_id: str, load: float) -> Vitals:
    """Plausible, steady figures: each agent has its own level, and all rise with the load."""
    own = crc32(agent_id.encode()) % 20
    return Vitals(
        success_rate=1.0,
        response_time_ms=20 + own + round(60 * load),
        cpu_usage_percent=round(8 + own + 70 * load, 1),
        memory_usage_percent=round(30 + own + 20 * load, 1),
    )


class Standing(NamedTuple):
    """An agent as it was found. status: as on the wire, upper case."""

    status: str
    current_task_id: str | None


class Roster(Protocol):
    """How a fleet is enlisted. The verbs return False when somebody else was quicker."""

    def find(self, agent_id: str) -> Standing | None: ...

    def create(self, member: Member) -> bool: ...

    def activate(self, agent_id: str) -> bool: ...

    def heartbeat(self, agent_id: str, load: float) -> bool: ...


class TooFew(Exception):
    """The tenant has so many agents of these names in other hands that a fleet cannot be made."""


TRIED_PER_AGENT = 20  # numbers that are passed over before we give up


def enlist(roster: Roster, size: int, tag: str) -> list[str]:
    """The ids of `size` agents that are ready for work, made where they are missing.

    Passed over are agents that people have paused or terminated, and those that still work: also
    on a task of a replay that was killed, which the health sweep calls lost in its time. Raises
    TooFew.
    """
    ready: list[str] = []
    for number in range(1, size * TRIED_PER_AGENT + 1):
        candidate = member(number, tag)
        if _get_ready(roster, candidate):
            ready.append(candidate.agent_id)
            if len(ready) == size:
                return ready
    raise TooFew(
        f"Only {len(ready)} of {size} agents are ready: the others of their names are paused, "
        f"terminated or at work. Resume some, or ask for fewer."
    )


def _get_ready(roster: Roster, candidate: Member) -> bool:
    agent_id = candidate.agent_id
    standing = roster.find(agent_id)
    if standing is None:
        return roster.create(candidate) and roster.activate(agent_id)
    if standing.status == "REGISTERED":
        return roster.activate(agent_id)
    if standing.status == "UNHEALTHY" and standing.current_task_id is None:
        roster.heartbeat(agent_id, 0.0)  # it is seen again; a paused one stays paused
        standing = roster.find(agent_id)
    return standing is not None and standing.status == "AVAILABLE"
