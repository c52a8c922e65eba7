"""Form fields for what HTML has no type for."""

import json
from datetime import UTC, datetime
from typing import Any, NoReturn

from django import forms
from django.core.exceptions import ValidationError

from events.patterns import BadPattern, Pattern

LONGEST_PATTERN = 1_000  # characters


class MomentField(forms.DateTimeField):
    """A moment, read in the zone that the person reads in unless it names its offset."""

    def __init__(self, *, label: str, help_text: str = "", required: bool = True) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(widget=widget, label=label, help_text=help_text, required=required)

    def to_python(self, value: Any) -> datetime | None:
        try:
            moment = super().to_python(value)
            return moment.astimezone(UTC) if moment else None
        except OverflowError:
            raise ValidationError("must lie within the years 1 to 9999 in UTC.") from None


class LongText(forms.CharField):
    """Text of several lines. Browsers end lines with CR LF; the log keeps LF."""

    def __init__(
        self, *, rows: int = 2, required: bool = True, show_hidden_initial: bool = False
    ) -> None:
        super().__init__(
            widget=forms.Textarea({"rows": rows}),
            required=required,
            show_hidden_initial=show_hidden_initial,
        )

    def to_python(self, value: Any) -> str | None:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if text else text


class OneLine(forms.CharField):
    """A sentence: a reason, for example."""

    def __init__(self, *, label: str | None = None, help_text: str = "", most: int = 500) -> None:
        super().__init__(
            widget=forms.TextInput({"autocomplete": "off"}),
            max_length=most,
            label=label,
            help_text=help_text,
        )

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.isprintable():
            raise ValidationError("must be one line of printable characters.")
        return text


class JSONText(forms.CharField):
    """JSON as text, parsed; an empty field is None.

    Duplicate keys, NaN and what is too deep to read are refused rather than half understood.
    """

    def __init__(
        self,
        *,
        label: str,
        help_text: str = "",
        rows: int = 3,
        show_hidden_initial: bool = False,
    ) -> None:
        super().__init__(
            widget=forms.Textarea({"rows": rows, "spellcheck": "false", "class": "code"}),
            label=label,
            help_text=help_text,
            required=False,
            show_hidden_initial=show_hidden_initial,
        )

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
        except RecursionError:
            raise ValidationError("is nested too deeply.") from None
        except ValueError as error:
            raise ValidationError(f"must be JSON: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object.")
    return found


class PatternField(forms.CharField):
    """Alternatives between commas, a * only at the end of one."""

    def __init__(
        self, *, label: str, help_text: str = "", attrs: dict[str, str] | None = None
    ) -> None:
        widget = forms.TextInput({"autocomplete": "off", "spellcheck": "false", **(attrs or {})})
        super().__init__(
            label=label,
            help_text=help_text,
            widget=widget,
            required=False,
            max_length=LONGEST_PATTERN,
        )

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        try:
            if text:
                Pattern.of(text)
        except BadPattern as error:
            raise ValidationError(f"It {error}") from None
        return text
