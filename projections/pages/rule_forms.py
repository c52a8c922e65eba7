"""The forms of alert rules: one for each kind, since each kind has numbers of its own."""

from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from projections.alerts.models import Kind
from projections.alerts.rules import MINIMUM_TASKS, Rule

PERCENT = 100
LONGEST_TEXT = 20_000


class ParsedLines(forms.CharField):
    """A line each; or, where commas part, between commas too."""

    def __init__(self, *, help_text: str, label: str, commas: bool = False) -> None:
        widget = forms.TextInput() if commas else forms.Textarea({"rows": 2, "spellcheck": "false"})
        super().__init__(
            required=False,
            max_length=LONGEST_TEXT,
            widget=widget,
            help_text=help_text,
            label=label,
            show_hidden_initial=True,
        )
        self._commas = commas

    def prepare_value(self, value: Any) -> Any:
        return (", " if self._commas else "\n").join(value) if isinstance(value, tuple) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        parts = text.split(",") if self._commas else text.splitlines()
        return tuple(part for each in parts if (part := each.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))


class RuleForm(forms.Form):
    """What rules of every kind have. Only what differs from what the person saw is changed."""

    name = forms.CharField(
        max_length=100,
        help_text='Letters, digits, ".", "_" and "-". The rule is known by it, so it stays.',
    )
    agent_tags = ParsedLines(
        label="Only agents tagged",
        commas=True,
        help_text="With commas between; an agent has to have all of them. Empty: every agent, and "
        "the tenant's own events too.",
    )
    emails = ParsedLines(
        label="Tell by e-mail", help_text="An address a line, at most 10. Empty: nobody."
    )
    webhooks = ParsedLines(
        label="Tell by webhook",
        help_text="An https address a line, at most 10. Each gets a secret of its own, which is "
        "shown once; posts are signed with it as Standard Webhooks say.",
    )

    kind: Kind

    def __init__(self, data: Any = None, *, rule: Rule | None = None) -> None:
        """rule: the one to change; None for a new one."""
        super().__init__(data, initial=self.values_of(rule) if rule else {})
        self.order_fields(("name", *self.own_fields))
        if rule:
            del self.fields["name"]

    own_fields: tuple[str, ...] = ()

    def values_of(self, rule: Rule) -> dict[str, Any]:
        return {
            "agent_tags": rule.agent_tags,
            "emails": rule.emails,
            "webhooks": rule.webhooks,
        }

    def changes(self) -> dict[str, Any]:
        """As `rule_services.update_rule` takes them."""
        return {name: self.cleaned_data[name] for name in self.changed_data}

    def new_rule(self) -> Rule:
        """As `rule_services.create_rule` takes it."""
        return replace(Rule(name="", kind=self.kind), **self.cleaned_data)


class EventRule(RuleForm):
    kind = Kind.EVENT
    own_fields = ("events",)

    events = forms.CharField(
        label="Events",
        max_length=1_000,
        widget=forms.TextInput({"list": "event-types", "autocomplete": "off", "class": "code"}),
        show_hidden_initial=True,
        help_text="Types, or beginnings of types that end in *, with commas between. Each of them "
        "is trouble, so name what is: AgentTask* counts completed tasks too.",
    )

    def values_of(self, rule: Rule) -> dict[str, Any]:
        return super().values_of(rule) | {"events": rule.events}


class RateRule(RuleForm):
    kind = Kind.COMPLETION_RATE
    own_fields = ("threshold", "minutes", "minimum_tasks")

    threshold = forms.FloatField(
        label="Fewer completed than, in percent",
        initial=95,
        min_value=0,
        max_value=PERCENT,
        show_hidden_initial=True,
        widget=forms.NumberInput({"step": "any"}),
        help_text="An alert opens when of the tasks that ended a smaller part was completed.",
    )
    minutes = forms.IntegerField(
        label="In the last … minutes",
        initial=15,
        min_value=1,
        max_value=24 * 60,
        show_hidden_initial=True,
        help_text="1 to 1,440. Looked at every 20 seconds.",
    )
    minimum_tasks = forms.IntegerField(
        label="Of at least … tasks",
        initial=MINIMUM_TASKS,
        min_value=1,
        max_value=10_000,
        show_hidden_initial=True,
        help_text="So many must have ended: one failure at night is no alert.",
    )

    def clean_threshold(self) -> float:
        percent: float = self.cleaned_data["threshold"]
        if percent <= 0:
            raise ValidationError("Above 0.")
        return percent / PERCENT

    def values_of(self, rule: Rule) -> dict[str, Any]:
        percent = round((rule.threshold or 0) * PERCENT, 9)
        return super().values_of(rule) | {
            "threshold": int(percent) if percent.is_integer() else percent,
            "minutes": rule.minutes,
            "minimum_tasks": rule.minimum_tasks,
        }


FORMS: dict[Kind, type[RuleForm]] = {Kind.EVENT: EventRule, Kind.COMPLETION_RATE: RateRule}
