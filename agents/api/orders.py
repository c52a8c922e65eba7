"""The bodies of the commands: which fields, of which kind. What they may hold is the domain's."""

from events.api.fields import AnyJSON, Listed, Moment, Number, Object, Order, Text, Truth, Whole


class CapabilityOrder(Order):
    name = Text()
    proficiency_level = Whole()


class CreateAgent(Order):
    agent_id = Text(required=False)
    name = Text()
    description = Text(required=False)
    agent_type = Text(required=False)
    capabilities = Listed(child=CapabilityOrder())
    tags = Listed(child=Text(), required=False)
    metadata = Object(required=False)
    health_check_timeout_seconds = Whole(required=False)


class UpdateAgent(Order):
    name = Text(required=False)
    description = Text(required=False)
    tags = Listed(child=Text(), required=False)
    metadata = Object(required=False)
    health_check_timeout_seconds = Whole(required=False)


class Pause(Order):
    reason = Text()
    until = Moment(required=False, allow_null=True)


class Resume(Order):
    reason = Text(required=False, allow_null=True)


class Terminate(Order):
    reason = Text()
    force = Truth(required=False)


class UpgradeCapability(Order):
    proficiency_level = Whole()


class Heartbeat(Order):
    success_rate = Number()
    response_time_ms = Number()
    cpu_usage_percent = Number()
    memory_usage_percent = Number()


class HealthFailure(Order):
    reason = Text()


class AssignTask(Order):
    task_id = Text()
    input = AnyJSON(required=False)


class RequiredCapability(Order):
    name = Text()
    min_level = Whole(required=False)


class PreferOrder(Order):
    agent_id = Text(required=False)
    tags = Listed(child=Text(), required=False)


class RouteTask(Order):
    task_id = Text()
    required_capabilities = Listed(child=RequiredCapability())
    input = AnyJSON(required=False)
    prefer = PreferOrder(required=False, allow_null=True)


class UsageOrder(Order):
    input_tokens = Whole()
    output_tokens = Whole()


class CompleteTask(Order):
    result = AnyJSON(required=False)
    execution_time_ms = Number()
    usage = UsageOrder(required=False, allow_null=True)


class FailTask(Order):
    error_message = Text()
    error_code = Text(required=False, allow_null=True)


class Erase(Order):
    reason = Text()
