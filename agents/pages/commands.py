"""The buttons of an agent's page: a form each, the question whether it is offered now, one service.

No rule stands here. Whether a command is offered is asked of the domain itself: it decides about
the agent as it stands, and what it would refuse is not shown. Nothing is recorded by asking.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from msgspec import UNSET

from agents import services
from agents.command import Outcome
from agents.domain import decide, limits
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.state import Agent
from agents.pages.values import tags_of
from events.facts import DomainEvent, utc_now
from events.log.proposal import Context
from events.pages.fields import JSONText, LongText, MomentField

ANY_REASON = "?"  # stands for whatever a person would write, where only the state is asked about
HOUR = 3_600
PAUSES = [
    ("", "until somebody resumes it"),
    (HOUR, "1 hour"),
    (4 * HOUR, "4 hours"),
    (12 * HOUR, "12 hours"),
    (24 * HOUR, "1 day"),
    (7 * 24 * HOUR, "7 days"),
]
LEVELS = [(level, str(level)) for level in range(limits.MIN_LEVEL, limits.MAX_LEVEL + 1)]


def _decided(ask: Callable[[], Sequence[DomainEvent]]) -> bool:
    """Whether the domain would record something."""
    try:
        return bool(ask())
    except RuleViolated:
        return False


class CommandForm(forms.Form):
    """One command to one agent. slug: its name in the address; done: what is said afterwards."""

    slug: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str] = ""
    done: ClassVar[str]
    is_main: ClassVar[bool] = False  # about the agent's work, which is what people come for
    is_dangerous: ClassVar[bool] = False

    def __init__(self, agent: Agent, data: QueryDict | None = None) -> None:
        self.agent = agent
        super().__init__(data, auto_id=f"{self.slug}-%s")
        if "reason" not in self.fields:
            self.fields["reason"] = _reason(required=False)
        self.prepare()

    def prepare(self) -> None:
        """Fill in what depends on the agent."""

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        raise NotImplementedError

    def send(self, by: Context) -> Outcome:
        """Call the service with what was typed. Errors as in `agents.services`."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The same for the same form: what stands on the page may be a form for another task."""
        return self.slug

    @property
    def tenant(self) -> str:
        return self.agent.tenant_id

    @property
    def agent_id(self) -> str:
        return self.agent.agent_id

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        try:
            limits.check_optional_reason(reason)
        except InvalidCommand as error:
            raise ValidationError(error.detail) from None
        return reason

    @property
    def why(self) -> str | None:
        """The reason that the person gave, where the form asks for one."""
        return self.cleaned_data.get("reason") or None


def _reason(*, required: bool = True) -> forms.CharField:
    return forms.CharField(
        required=required,
        widget=forms.TextInput({"autocomplete": "off"}),
        help_text="Stays in the log, beside your name.",
    )


class Activate(CommandForm):
    slug, title, done = "activate", "Activate", "is in service"
    is_main = True
    explanation = "Puts the agent into service. It can then be given tasks."

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return _decided(lambda: decide.activate(agent, now=now))

    def send(self, by: Context) -> Outcome:
        return services.activate_agent(tenant=self.tenant, agent_id=self.agent_id, by=by)


class AssignTask(CommandForm):
    slug, title, done = "assign", "Assign task", "has the task"
    explanation = "Gives this agent the task. Routing finds the best agent for one by itself."
    is_main = True

    task_id = forms.CharField(label="Task id", widget=forms.TextInput({"autocomplete": "off"}))
    input = JSONText(label="Input (JSON)")

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return _decided(lambda: decide.assign(agent, task_id="any", now=now))

    def send(self, by: Context) -> Outcome:
        values = self.cleaned_data
        return services.assign_task(
            tenant=self.tenant,
            agent_id=self.agent_id,
            task_id=values["task_id"],
            input=values["input"],
            by=by,
        )


class _EndTask(CommandForm):
    """The form carries the task that the person saw: when it has ended meanwhile, that is said."""

    task_id = forms.CharField(widget=forms.HiddenInput)

    def prepare(self) -> None:
        self.fields["task_id"].initial = self.agent.current_task_id

    @property
    def key(self) -> str:
        return f"{self.slug}-{self.agent.current_task_id}"

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        task_id = agent.current_task_id
        return task_id is not None and _decided(
            lambda: decide.fail(agent, task_id=task_id, error_message=ANY_REASON, now=now)
        )


class CompleteTask(_EndTask):
    slug, title, done = "complete", "Complete task", "has completed its task"
    explanation = "In the agent's stead, where it cannot report by itself."
    is_main = True

    execution_time_ms = forms.IntegerField(
        label="Execution time in ms", widget=forms.NumberInput({"min": 0})
    )
    result = JSONText(label="Result (JSON)")

    def send(self, by: Context) -> Outcome:
        values = self.cleaned_data
        return services.complete_task(
            tenant=self.tenant,
            agent_id=self.agent_id,
            task_id=values["task_id"],
            execution_time_ms=values["execution_time_ms"],
            result=values["result"],
            by=by,
        )


class FailTask(_EndTask):
    slug, title, done = "fail", "Fail task", "has failed its task"
    explanation = "The agent is free again, and the task can be given to another one."
    is_main = True

    error_message = LongText()
    error_code = forms.CharField(required=False)

    def send(self, by: Context) -> Outcome:
        values = self.cleaned_data
        return services.fail_task(
            tenant=self.tenant,
            agent_id=self.agent_id,
            task_id=values["task_id"],
            error_message=values["error_message"],
            error_code=values["error_code"] or None,
            by=by,
        )


class Pause(CommandForm):
    slug, title, done = "pause", "Pause", "is paused"
    is_main = True
    explanation = "The agent takes no new task; one that it works on it may finish."

    reason = _reason()
    duration = forms.TypedChoiceField(label="For", choices=PAUSES, coerce=int, required=False)
    until = MomentField(required=False, label="Until")

    def prepare(self) -> None:
        zone = timezone.get_current_timezone_name()
        self.fields[
            "until"
        ].help_text = f"Instead: a moment in {zone}, at which it resumes by itself."

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if values.get("duration") and values.get("until"):
            self.add_error("until", "and a duration are two answers. Give one of them.")
        return values

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return _decided(lambda: decide.pause(agent, reason=ANY_REASON, now=now))

    def send(self, by: Context) -> Outcome:
        values = self.cleaned_data
        seconds = values["duration"]
        until = utc_now() + timedelta(seconds=seconds) if seconds else values["until"]
        return services.pause_agent(
            tenant=self.tenant, agent_id=self.agent_id, reason=values["reason"], until=until, by=by
        )


class Resume(CommandForm):
    slug, title, done = "resume", "Resume", "takes tasks again"
    is_main = True

    reason = _reason(required=False)

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return _decided(lambda: decide.resume(agent, now=now))

    def send(self, by: Context) -> Outcome:
        return services.resume_agent(
            tenant=self.tenant, agent_id=self.agent_id, reason=self.why, by=by
        )


class ReportUnhealthy(CommandForm):
    slug, title, done = "report-unhealthy", "Report unhealthy", "is reported unhealthy"
    explanation = "The agent gets no task until its next heartbeat."

    reason = _reason()

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return _decided(lambda: decide.health_failed(agent, reason=ANY_REASON, now=now))

    def send(self, by: Context) -> Outcome:
        return services.record_health_failure(
            tenant=self.tenant, agent_id=self.agent_id, reason=self.cleaned_data["reason"], by=by
        )


class AddCapability(CommandForm):
    slug, title, done = "add-capability", "Add capability", "has the new capability"

    name = forms.CharField(widget=forms.TextInput({"autocomplete": "off"}))
    proficiency_level = forms.TypedChoiceField(choices=LEVELS, coerce=int, label="Level")

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        new = "a"
        while agent.level_of(new) is not None:
            new += "a"
        return _decided(
            lambda: decide.add_capability(agent, name=new, proficiency_level=1, now=now)
        )

    def send(self, by: Context) -> Outcome:
        return services.add_capability(
            tenant=self.tenant,
            agent_id=self.agent_id,
            name=self.cleaned_data["name"],
            proficiency_level=self.cleaned_data["proficiency_level"],
            by=by,
        )


class UpgradeCapability(CommandForm):
    slug, title, done = "upgrade-capability", "Upgrade capability", "is better at it now"

    name = forms.ChoiceField(label="Capability")
    proficiency_level = forms.TypedChoiceField(
        choices=LEVELS, coerce=int, label="New level", initial=limits.MAX_LEVEL
    )

    def prepare(self) -> None:
        choices = [
            (each.name, f"{each.name} (now {each.proficiency_level})")
            for each in self.agent.capabilities
        ]
        self.fields["name"] = forms.ChoiceField(label="Capability", choices=choices)

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return any(
            _decided(
                lambda name=capability.name: decide.upgrade_capability(  # type: ignore[misc]
                    agent, name=name, proficiency_level=limits.MAX_LEVEL, now=now
                )
            )
            for capability in agent.capabilities
        )

    def send(self, by: Context) -> Outcome:
        return services.upgrade_capability(
            tenant=self.tenant,
            agent_id=self.agent_id,
            name=self.cleaned_data["name"],
            proficiency_level=self.cleaned_data["proficiency_level"],
            by=by,
        )


class EditDetails(CommandForm):
    """Sends only what the person changed, so that what others changed meanwhile stays."""

    slug, title, done = "edit", "Edit details", "has its new details"

    name = forms.CharField(show_hidden_initial=True)
    description = LongText(required=False, show_hidden_initial=True, rows=3)
    tags = forms.CharField(
        required=False, show_hidden_initial=True, help_text="With commas between."
    )
    metadata = JSONText(show_hidden_initial=True, label="Metadata (JSON)", rows=5)
    health_check_timeout_seconds = forms.IntegerField(
        show_hidden_initial=True, label="Health check timeout in seconds"
    )

    def prepare(self) -> None:
        agent = self.agent
        metadata = msgspec.json.format(msgspec.json.encode(agent.metadata), indent=2).decode()
        self.initial = {
            "name": agent.name,
            "description": agent.description,
            "tags": ", ".join(agent.tags),
            "metadata": metadata,
            "health_check_timeout_seconds": agent.health_check_timeout_seconds,
        }

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        timeout = agent.health_check_timeout_seconds
        other = timeout - 1 if timeout > limits.MIN_TIMEOUT_SECONDS else timeout + 1
        return _decided(lambda: decide.update(agent, health_check_timeout_seconds=other, now=now))

    def send(self, by: Context) -> Outcome:
        values = {name: self.cleaned_data[name] for name in self.changed_data}
        if "tags" in values:
            values["tags"] = tags_of(values["tags"])
        if "metadata" in values and values["metadata"] is None:
            values["metadata"] = {}
        return services.update_agent(
            tenant=self.tenant,
            agent_id=self.agent_id,
            name=values.get("name", UNSET),
            description=values.get("description", UNSET),
            tags=values.get("tags", UNSET),
            metadata=values.get("metadata", UNSET),
            health_check_timeout_seconds=values.get("health_check_timeout_seconds", UNSET),
            by=by,
        )


class Terminate(CommandForm):
    slug, title, done = "terminate", "Terminate", "is terminated"
    explanation = "Ends the agent's life for good. Its history stays."
    is_dangerous = True

    reason = _reason()
    force = forms.BooleanField(
        required=False, label="Force", help_text="The current task fails with AGENT_TERMINATED."
    )
    confirmation = forms.CharField(widget=forms.TextInput({"autocomplete": "off"}))

    def prepare(self) -> None:
        if self.agent.current_task_id is None:
            del self.fields["force"]
        self.fields["confirmation"].help_text = f"Type {self.agent_id}"

    def clean_confirmation(self) -> str:
        if self.cleaned_data["confirmation"] != self.agent_id:
            raise ValidationError(f"must be the agent's id, {self.agent_id}.")
        return self.agent_id

    @classmethod
    def is_offered(cls, agent: Agent, now: datetime) -> bool:
        return _decided(lambda: decide.terminate(agent, reason=ANY_REASON, force=True, now=now))

    def send(self, by: Context) -> Outcome:
        values = self.cleaned_data
        force = values.get("force", False)
        return services.terminate_agent(
            tenant=self.tenant, agent_id=self.agent_id, reason=values["reason"], force=force, by=by
        )


# In the order in which they stand on the page.
COMMANDS: tuple[type[CommandForm], ...] = (
    Activate,
    AssignTask,
    CompleteTask,
    FailTask,
    Resume,
    Pause,
    ReportUnhealthy,
    AddCapability,
    UpgradeCapability,
    EditDetails,
    Terminate,
)
BY_SLUG = {command.slug: command for command in COMMANDS}


def offered(agent: Agent, now: datetime) -> list[type[CommandForm]]:
    """The commands that the domain would not refuse to this agent now."""
    return [command for command in COMMANDS if command.is_offered(agent, now)]
