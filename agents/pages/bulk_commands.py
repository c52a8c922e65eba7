"""What can be done with many agents at once: a form each, and the service that it calls for one.

No rule stands here: who can be paused is asked of the domain, by a rehearsal.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from agents import services
from agents.command import Outcome, Request
from agents.domain import limits
from agents.domain.errors import InvalidCommand
from agents.fleet_commands import Order
from agents.pages.commands import ANY_REASON
from events.facts import utc_now
from events.log.proposal import Context
from events.pages.fields import MomentField


class BulkCommand(forms.Form):
    """One command for many agents. done: what they are afterwards; asked: how many it is for."""

    slug: ClassVar[str]
    title: ClassVar[str]
    done: ClassVar[str]
    explanation: ClassVar[str] = ""
    is_dangerous: ClassVar[bool] = False

    def __init__(self, data: QueryDict | None = None, *, asked: int = 0) -> None:
        self.asked = asked
        super().__init__(data, auto_id=f"{self.slug}-%s")
        self.prepare()

    def prepare(self) -> None:
        """Fill in what depends on how many are asked."""

    @property
    def values(self) -> Mapping[str, Any]:
        """What was typed, where it is known and fit; else what stands for it in a rehearsal."""
        if self.is_bound and self.is_valid():
            return self.cleaned_data
        return {"reason": ANY_REASON, "until": None}

    @property
    def why(self) -> str | None:
        """The reason that was given."""
        return self.values["reason"] or None

    def orders(
        self, tenant: str, agent_ids: Sequence[str], by: Context, forced: Collection[str]
    ) -> list[Order]:
        """forced: whose task may be failed, where the command knows of that."""
        values = self.values

        def order(agent_id: str) -> Order:
            at = {"tenant": tenant, "agent_id": agent_id, "by": by}

            def give(request: Request) -> list[Outcome]:
                return [self.give(values, agent_id in forced, request=request, **at)]

            return Order(agent_id=agent_id, give=give, ends_task=self.is_dangerous)

        return [order(agent_id) for agent_id in agent_ids]

    def give(self, values: Mapping[str, Any], force: bool, **at: Any) -> Outcome:
        """Call the service for one agent."""
        raise NotImplementedError

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if reason:
            _refuse(lambda: limits.check_reason(reason))
        return reason


def _refuse(check: Callable[[], None]) -> None:
    try:
        check()
    except InvalidCommand as refused:
        raise ValidationError(refused.detail) from None


def _reason(*, required: bool) -> forms.CharField:
    return forms.CharField(
        required=required,
        widget=forms.TextInput({"autocomplete": "off"}),
        help_text="Recorded with every agent's event.",
    )


class PauseMany(BulkCommand):
    slug, title, done = "pause", "Pause", "paused"
    explanation = "They take no new task; whoever works on one may finish it."

    reason = _reason(required=True)
    until = MomentField(
        required=False, label="Until", help_text="Empty: until somebody resumes them."
    )

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until is not None:
            _refuse(lambda: limits.check_until(until, now=utc_now()))
        return until

    def give(self, values: Mapping[str, Any], force: bool, **at: Any) -> Outcome:
        return services.pause_agent(reason=values["reason"], until=values["until"], **at)


class ResumeMany(BulkCommand):
    slug, title, done = "resume", "Resume", "resumed"
    explanation = "They take tasks again."

    reason = _reason(required=False)

    def give(self, values: Mapping[str, Any], force: bool, **at: Any) -> Outcome:
        return services.resume_agent(reason=values["reason"] or None, **at)


class TerminateMany(BulkCommand):
    slug, title, done = "terminate", "Terminate", "terminated"
    explanation = "Ends their lives for good. Their history stays."
    is_dangerous = True

    reason = _reason(required=True)
    confirmation = forms.CharField(
        widget=forms.TextInput({"autocomplete": "off", "inputmode": "numeric"})
    )

    def prepare(self) -> None:
        self.fields["confirmation"].help_text = f"Type how many you terminate: {self.asked}"

    def clean_confirmation(self) -> str:
        if self.cleaned_data["confirmation"] != str(self.asked):
            raise ValidationError(f"must be the number of agents, {self.asked}.")
        return str(self.asked)

    def give(self, values: Mapping[str, Any], force: bool, **at: Any) -> Outcome:
        return services.terminate_agent(reason=values["reason"], force=force, **at)


COMMANDS: tuple[type[BulkCommand], ...] = (PauseMany, ResumeMany, TerminateMany)
BY_SLUG = {command.slug: command for command in COMMANDS}
