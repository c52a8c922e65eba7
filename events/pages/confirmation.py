"""What is not easily undone is confirmed: its name is typed, and why it is done is said."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from events.pages.fields import OneLine

REASON_LENGTH = 1_000


class Confirmed(forms.Form):
    """expected: what has to be typed, letter by letter."""

    confirm = forms.CharField(
        label="Confirm", widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"})
    )
    reason = OneLine(most=REASON_LENGTH, help_text="It stands in the log with what is done.")

    def __init__(self, data: Any = None, *, expected: str) -> None:
        # Ids of its own, since it may stand on one page with other forms.
        super().__init__(data, auto_id="confirmed-%s")
        self.expected = expected
        self.fields["confirm"].help_text = f"Type {expected} to confirm."

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed != self.expected:
            raise ValidationError(f"Type {self.expected}, letter by letter.")
        return typed
