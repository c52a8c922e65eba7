"""What agents' fields may hold, and agents as they stand on the wire: the domain's limits as
shapes. `representation` makes what is described here."""

from agents.domain import limits
from agents.domain.state import Health, Intent, Status
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import (
    ANYTHING,
    COUNT,
    LOG_SEQ,
    MOMENT,
    OBJECT,
    Shape,
    choice,
    listing,
    number,
    or_null,
    some_of,
    text,
    thing,
    whole,
)

AGENT_ID = text(pattern=f"^{limits.AGENT_ID}$")
KEY = text(pattern=f"^{limits.KEY}$")
NAME = text(most=limits.MAX_NAME, filled=True)
DESCRIPTION = text(most=limits.MAX_DESCRIPTION)
AGENT_TYPE = text(most=limits.MAX_AGENT_TYPE)
REASON = text(most=limits.MAX_REASON, filled=True)
OPTIONAL_REASON = text(most=limits.MAX_REASON)
ERROR_MESSAGE = text(most=limits.MAX_ERROR_MESSAGE, filled=True)
ERROR_CODE = text(most=limits.MAX_ERROR_CODE)
LEVEL = whole(limits.MIN_LEVEL, limits.MAX_LEVEL)
TIMEOUT = whole(limits.MIN_TIMEOUT_SECONDS, limits.MAX_TIMEOUT_SECONDS)
_NOT_IN_TAGS = r",*\x00-\x1f\x7f-\x9f"  # what filters give a meaning to, and control characters
TAG = text(
    most=limits.MAX_TAG,
    least=1,
    pattern=f"^[^{_NOT_IN_TAGS}]*[^\\s{_NOT_IN_TAGS}][^{_NOT_IN_TAGS}]*$",
)
TAGS = some_of(TAG, most=limits.MAX_TAGS, once=True)
PAYLOAD = ANYTHING.saying(
    f"Any JSON, at most {limits.MAX_PAYLOAD_BYTES // 1024} KiB and "
    f"{limits.MAX_PAYLOAD_DEPTH} levels."
)
METADATA = OBJECT.saying("Any object; like a payload.")
RATIO = number(0, 1)
PERCENT = number(0, 100)
MILLISECONDS = number(0, limits.MAX_INTEGER)
TOKENS = whole(0, limits.MAX_INTEGER)

CAPABILITY = thing("AgentCapability", {"name": KEY, "proficiency_level": LEVEL})
AGENT = thing(
    "Agent",
    {
        "agent_id": AGENT_ID,
        "name": NAME,
        "description": DESCRIPTION,
        "agent_type": AGENT_TYPE,
        "status": choice(Status).saying("What intent, health and work add up to."),
        "intent": choice(Intent).saying("What people want of it."),
        "health": choice(Health).saying("What was last observed."),
        "capabilities": some_of(CAPABILITY),
        "tags": TAGS,
        "metadata": OBJECT,
        "current_task_id": or_null(KEY),
        "tasks_assigned": COUNT,
        "tasks_completed": COUNT,
        "tasks_failed": COUNT,
        "last_seen": or_null(MOMENT),
        "health_check_timeout_seconds": TIMEOUT,
        "created_at": MOMENT,
        "activated_at": or_null(MOMENT),
        "paused_until": or_null(MOMENT),
        "pause_reason": or_null(text()),
        "terminated_at": or_null(MOMENT),
        "version": whole(1).saying("How many events it has; its `ETag`."),
        "seq": LOG_SEQ,
    },
)
AGENTS = listing(AGENT)


def command(
    id: str, summary: str, description: str = "", *, refuses: tuple[str, ...] = ()
) -> Operation:
    """A command on one agent, which answers with the agent as it left it."""
    return Operation(
        id, "agents", summary, description, answer=AGENT, has_etag=True, refuses=refuses
    )


PARAMETERS = {
    "agent_id": Parameter(AGENT_ID, "The agent's id."),
    "task_id": Parameter(KEY, "The task's id."),
}
ERASURE = thing(
    "Erasure",
    {
        "agent_id": or_null(AGENT_ID),
        "task_id": or_null(KEY),
        "erased": COUNT.saying("How many keys were destroyed: 0 when all were before."),
        "seq": LOG_SEQ,
    },
)
_PLACE = thing("DiffPlace", {"version": COUNT, "seq": or_null(LOG_SEQ)})
CHANGE = thing(
    "AgentChange",
    {
        "op": choice(("add", "remove", "replace")),
        "path": text().saying("A JSON pointer into the agent; capabilities go by their name."),
        "old": ANYTHING,
        "new": ANYTHING,
        "event": thing(
            "ChangingEvent",
            {
                "event_id": Shape({"type": "string", "format": "uuid"}),
                "seq": LOG_SEQ,
                "version": whole(1),
                "type": text(),
                "recorded_at": MOMENT,
                "actor": text(),
                "reason": or_null(text()),
            },
            description="The last event of the range that changed it.",
        ),
    },
)
DIFF = thing(
    "AgentDiff",
    {"agent_id": AGENT_ID, "from": _PLACE, "to": _PLACE, "changes": some_of(CHANGE)},
)
