"""The parameters that mean the same on every path. What else a door takes it explains itself, in
`parameters`; there it may also say one of these otherwise."""

from collections.abc import Iterable, Mapping

from events.api.openapi.operation import Parameter
from events.api.openapi.shape import MOMENT, UUID, Shape, choice, some_of, text, whole
from events.api.query import DEFAULT_LIMIT, MAX_LIMIT, MOST_CHARACTERS
from events.cloudevents import schemas

# Alternatives between commas, a * only at the end of one: events.patterns.
_ALTERNATIVE = r"([^,*]+\*?|\*)"
PATTERN = text(most=MOST_CHARACTERS, least=1, pattern=f"^{_ALTERNATIVE}(,{_ALTERNATIVE})*$")
SOUGHT = text(most=MOST_CHARACTERS, least=1)


def pattern(of: str) -> Parameter:
    return Parameter(PATTERN, f"{of} Commas mean or; a `*` may stand at the end of each.")


def one_of(values: Iterable[str], description: str) -> Parameter:
    return Parameter(some_of(choice(values), least=1, once=True), f"{description} Commas mean or.")


def named(values: Iterable[str], description: str) -> Parameter:
    """One of the values alone."""
    return Parameter(choice(values), description)


QUERY: Mapping[str, Parameter] = {
    "cursor": Parameter(SOUGHT, "`next` of the page before. Without it the first page."),
    "limit": Parameter(
        Shape({**whole(1, MAX_LIMIT).schema, "default": DEFAULT_LIMIT}),
        "At most so many items. A filtered page may be short or empty: only `next: null` ends it.",
    ),
    "min_seq": Parameter(
        whole(),
        "Wait up to 5 s until what is read reflects this seq, such as the `AgentMesh-Seq` of a "
        "command; then 503. Beyond the head of the log: 400.",
    ),
    "seq": Parameter(whole(), "As it stood at this seq of the log."),
    "at": Parameter(MOMENT, "As it stood at this moment (`recordedat`), which is not to come."),
    "since": Parameter(MOMENT, "What was recorded at this moment or later."),
    "until": Parameter(MOMENT, "What was recorded before this moment."),
    "types": pattern("Types of events."),
    "agent": pattern("Ids of agents."),
    "actor": pattern("Who acted: `user:alice`, `token:ci`, `agent:a-1`, `system:health`."),
    "correlation": pattern("Correlation ids."),
    "q": Parameter(SOUGHT, "Text that is in it, whatever its case."),
    "query": Parameter(
        SOUGHT,
        "All filters in one, as people type them in the timeline: `type:AgentTask* -agent:a-1 "
        "since:24h`. It stands alone. See docs/timeline.md.",
    ),
    "schema": Parameter(
        choice(schemas()),
        "Each type's highest version up to this one, or `stored` for the form in which each event "
        "is stored. Without it the newest.",
    ),
    "order": Parameter(choice(("asc", "desc")), "`asc` without it: the oldest first."),
}
PATH: Mapping[str, Parameter] = {
    "tenant": Parameter(text(least=1, most=63), "The tenant's slug.", example="acme"),
    "event_id": Parameter(UUID, "The event's `id`."),
    "token_id": Parameter(UUID, "The token's `id`."),
}
