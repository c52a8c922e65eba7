"""How the domain says no: to a value (InvalidCommand), to an order (RuleViolated), to a history."""


class InvalidCommand(Exception):
    """A value is out of range or of the wrong shape, whatever the agent's state.

    `field` points at it without a leading slash ("capabilities/0/proficiency_level"); `detail` is a
    sentence that says what it must be.
    """

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class PayloadTooLarge(InvalidCommand):
    """A value is well formed, but has more bytes than one payload may have."""


class RuleViolated(Exception):
    """The order is well formed, but the agent's state forbids it.

    `rule` is a stable snake_case name for programs, the message says what to do next.
    `current_task_id` is the task that stands in the way, where one does.
    """

    def __init__(self, message: str, *, rule: str, current_task_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule
        self.current_task_id = current_task_id


class AgentNotCreated(Exception):
    """A history does not begin with AgentCreatedEvent, so there is no agent to speak of."""
