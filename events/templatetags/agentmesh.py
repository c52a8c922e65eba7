"""How values look on every page: moments in UTC, hashes in hex, events in a line."""

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import phrases
from events.models import Event
from events.pages import wording

register = template.Library()

NOTHING = "\N{EN DASH}"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """`2026-05-04 13:37:00.123`, UTC; the machine-readable form keeps the microseconds."""
    if value is None:
        return NOTHING
    value = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}.{}</time>',
        value.isoformat(timespec="microseconds"),
        value.strftime("%Y-%m-%d %H:%M:%S"),
        f"{value.microsecond // 1_000:03d}",
    )


@register.filter
def duration(seconds: int | None) -> str:
    """Seconds in words of two units: `3 min 20 s`."""
    if seconds is None:
        return "never"
    return phrases.lasted(seconds)


@register.filter
def thousands(number: float | None) -> str:
    return NOTHING if number is None else f"{number:,}"


@register.filter
def in_hex(value: bytes | memoryview) -> str:
    return bytes(value).hex()


@register.filter
def in_words(event: Event) -> str:
    return wording.line(event)


@register.filter
def in_a_sentence(event: Event) -> str:
    return wording.sentence(event)
