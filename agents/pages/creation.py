"""The form that makes a new agent."""

from typing import Any

from django import forms

from agents.pages.values import capabilities_of, tags_of
from events.pages.fields import JSONText, LongText
from events.vocabulary import Capability

DEFAULT_TIMEOUT_SECONDS = 90


class CreateAgent(forms.Form):
    name = forms.CharField()
    agent_id = forms.CharField(
        required=False,
        label="Id",
        help_text="3 to 256 letters, digits, _ and -. Stays for ever. Empty: one is made.",
    )
    agent_type = forms.CharField(required=False, label="Type")
    description = LongText(required=False)
    capabilities = forms.CharField(
        widget=forms.Textarea({"rows": 3, "class": "code", "placeholder": "translation 4"}),
        help_text="At least one, a line each: its name and a level from 1 (novice) to 5 (expert).",
    )
    tags = forms.CharField(required=False, help_text="With commas between.")
    metadata = JSONText(label="Metadata (JSON)")
    health_check_timeout_seconds = forms.IntegerField(
        label="Health check timeout in seconds",
        initial=DEFAULT_TIMEOUT_SECONDS,
        help_text="Without a heartbeat for so long the agent counts as unhealthy.",
    )

    def clean_capabilities(self) -> list[Capability]:
        return capabilities_of(self.cleaned_data["capabilities"])

    def values(self) -> dict[str, Any]:
        """The form as `agents.services.create_agent` takes it."""
        return {
            **self.cleaned_data,
            "agent_id": self.cleaned_data["agent_id"] or None,
            "tags": tags_of(self.cleaned_data["tags"]),
        }
