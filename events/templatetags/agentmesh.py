"""How values look on every page: moments in UTC, hashes in hex, events in a line."""

from datetime import UTC, datetime

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import phrases
from events.models import Event
from events.pages import wording

register = template.Library()

NOTHING = "\N{EN DASH}"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """`2026-05-04 13:37:00.123` and the offset, in the zone that the person reads in; over it
    lies the moment in UTC to the microsecond, which is what the log holds."""
    if value is None:
        return NOTHING
    shown, absolute = timezone.localtime(value), value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}.{} <span class="offset">{}</span></time>',
        absolute.isoformat(timespec="microseconds"),
        absolute.strftime("%Y-%m-%d %H:%M:%S.%f"),
        shown.strftime("%Y-%m-%d %H:%M:%S"),
        f"{shown.microsecond // 1_000:03d}",
        _offset(shown),
    )


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset()
    if not offset:
        return "UTC"
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


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
def percent(ratio: float | None) -> str:
    """`99.5 %` of 0.995; as many digits as the ratio has, at most nine."""
    return NOTHING if ratio is None else f"{round(ratio * 100, 9):g} %"


@register.filter
def in_hex(value: bytes | memoryview) -> str:
    return bytes(value).hex()


@register.filter
def in_words(event: Event) -> str:
    return wording.line(event)


@register.filter
def in_a_sentence(event: Event) -> str:
    return wording.sentence(event)


@register.simple_tag
def icon(name: str) -> SafeString:
    """One of the icons in the vendored sheet; it says nothing by itself, words stand beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("agentmesh/vendor/icons.svg"),
        name,
    )
