"""The bodies of the commands: which fields, of which kind. What they may hold is the domain's, and
stands here for the document of the API alone."""

from agents.api import shapes
from agents.domain.routing import MAX_REQUIRED
from events.api.fields import (
    MOST_ITEMS,
    AnyJSON,
    Listed,
    Moment,
    Number,
    Object,
    Order,
    Text,
    Truth,
    Whole,
)
from events.api.openapi.shape import Shape

CAPABILITIES = Shape({"minItems": 1, "maxItems": MOST_ITEMS})
REQUIRED = Shape({"minItems": 1, "maxItems": MAX_REQUIRED})


class CapabilityOrder(Order):
    name = Text(shape=shapes.KEY)
    proficiency_level = Whole(shape=shapes.LEVEL)


class CreateAgent(Order):
    agent_id = Text(shape=shapes.AGENT_ID, required=False)
    name = Text(shape=shapes.NAME)
    description = Text(shape=shapes.DESCRIPTION, required=False)
    agent_type = Text(shape=shapes.AGENT_TYPE, required=False)
    capabilities = Listed(child=CapabilityOrder(), shape=CAPABILITIES)
    tags = Listed(child=Text(shape=shapes.TAG), shape=shapes.TAGS, required=False)
    metadata = Object(shape=shapes.METADATA, required=False)
    health_check_timeout_seconds = Whole(shape=shapes.TIMEOUT, required=False)


class UpdateAgent(Order):
    name = Text(shape=shapes.NAME, required=False)
    description = Text(shape=shapes.DESCRIPTION, required=False)
    tags = Listed(child=Text(shape=shapes.TAG), shape=shapes.TAGS, required=False)
    metadata = Object(shape=shapes.METADATA, required=False)
    health_check_timeout_seconds = Whole(shape=shapes.TIMEOUT, required=False)


class Pause(Order):
    reason = Text(shape=shapes.REASON)
    until = Moment(required=False, allow_null=True)  # to come


class Resume(Order):
    reason = Text(shape=shapes.OPTIONAL_REASON, required=False, allow_null=True)


class Terminate(Order):
    reason = Text(shape=shapes.REASON)
    force = Truth(required=False)


class UpgradeCapability(Order):
    proficiency_level = Whole(shape=shapes.LEVEL)


class Heartbeat(Order):
    success_rate = Number(shape=shapes.RATIO)
    response_time_ms = Number(shape=shapes.MILLISECONDS)
    cpu_usage_percent = Number(shape=shapes.PERCENT)
    memory_usage_percent = Number(shape=shapes.PERCENT)


class HealthFailure(Order):
    reason = Text(shape=shapes.REASON)


class AssignTask(Order):
    task_id = Text(shape=shapes.KEY)
    input = AnyJSON(shape=shapes.PAYLOAD, required=False)


class RequiredCapability(Order):
    """At this level or above; 1 where none is given."""

    name = Text(shape=shapes.KEY)
    min_level = Whole(shape=shapes.LEVEL, required=False)


class PreferOrder(Order):
    """Agents that are and have all of it come before all others."""

    agent_id = Text(shape=shapes.AGENT_ID, required=False)
    tags = Listed(child=Text(shape=shapes.TAG), shape=shapes.TAGS, required=False)


class RouteTask(Order):
    task_id = Text(shape=shapes.KEY)
    required_capabilities = Listed(child=RequiredCapability(), shape=REQUIRED)
    input = AnyJSON(shape=shapes.PAYLOAD, required=False)
    prefer = PreferOrder(required=False, allow_null=True)


class UsageOrder(Order):
    input_tokens = Whole(shape=shapes.TOKENS)
    output_tokens = Whole(shape=shapes.TOKENS)


class CompleteTask(Order):
    result = AnyJSON(shape=shapes.PAYLOAD, required=False)
    execution_time_ms = Number(shape=shapes.MILLISECONDS)
    usage = UsageOrder(required=False, allow_null=True)


class FailTask(Order):
    error_message = Text(shape=shapes.ERROR_MESSAGE)
    error_code = Text(shape=shapes.ERROR_CODE, required=False, allow_null=True)


class Erase(Order):
    reason = Text(shape=shapes.REASON)


# In a bulk an order has no path, so its body names what the path would.


class UpgradeNamedCapability(UpgradeCapability):
    name = Text(shape=shapes.KEY)


class CompleteNamedTask(CompleteTask):
    task_id = Text(shape=shapes.KEY)


class FailNamedTask(FailTask):
    task_id = Text(shape=shapes.KEY)
