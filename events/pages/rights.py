"""What each role may do, in words: made of `events.access.RIGHTS`, so it says what is enforced."""

from dataclasses import dataclass

from events.access import RIGHTS, Right
from events.models import Role

WORDS = {
    Right.READ: "See agents, tasks and events",
    Right.OVERSEE: "See the whole fleet's figures, alerts, members, tokens and settings",
    Right.OPERATE: "Change agents, tasks and alert rules; acknowledge alerts",
    Right.WORK: "Do an agent's work: heartbeats, completing and failing tasks",
    Right.READ_PAYLOADS: "Read confidential inputs and results of tasks",
    Right.AUDIT: "Export and verify the log; see where a command came from",
    Right.ADMINISTER: "Change members, tokens and settings",
}
OF_MEMBERS = (Role.ADMIN, Role.OPERATOR, Role.AUDITOR)
# Of the role agent, which only tokens have, each right is for its own agent alone.
COLUMNS = (*OF_MEMBERS, Role.AGENT)


@dataclass(frozen=True, slots=True)
class Row:
    """allowed: for each of COLUMNS."""

    words: str
    allowed: tuple[tuple[str, bool], ...]


def matrix() -> list[Row]:
    return [
        Row(words, tuple((role.value, right in RIGHTS[role]) for role in COLUMNS))
        for right, words in WORDS.items()
    ]


def in_words(role: str) -> str:
    """What a role is for, in one line."""
    return {
        Role.ADMIN: "Everything, members, tokens and settings too.",
        Role.OPERATOR: "Runs the fleet: agents, tasks, alerts. Changes nobody's access.",
        Role.AUDITOR: "Reads, exports and verifies all; changes nothing.",
    }.get(Role(role), "")
