"""How long ago a moment is, and how measured values read."""

from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.pages.charts.units import NOTHING, PERCENT
from events.phrases import DAY, HOUR, MINUTE, took

register = template.Library()


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """`3 min ago`; over it lies the moment itself, in UTC to the microsecond."""
    if value is None:
        return NOTHING
    seconds = max(int((timezone.now() - value).total_seconds()), 0)
    absolute = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{} ago</time>',
        absolute.isoformat(timespec="microseconds"),
        absolute.strftime("%Y-%m-%d %H:%M:%S.%f"),
        _coarse(seconds),
    )


def _coarse(seconds: int) -> str:
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < 2 * DAY:
        return f"{seconds // HOUR} h"
    return f"{seconds // DAY:,} d"


@register.filter
def lasting(milliseconds: float | None) -> str:
    return NOTHING if milliseconds is None else took(milliseconds)


@register.filter
def percent(share: float | None) -> str:
    return PERCENT.tell(share)
