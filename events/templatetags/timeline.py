"""How what is said of a query looks: what stands between backticks is code."""

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_SEAM = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[:_-])")
_CODE = re.compile(r"`([^`]+)`")


@register.filter
def with_code(text: str) -> SafeString:
    """The text, escaped, with `this` as code."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", escape(text)))  # noqa: S308 -- escaped above


@register.filter
def breakable(name: str) -> SafeString:
    """The name, escaped, which may be broken between its words: `AgentTask|Failed|Event`."""
    return mark_safe("<wbr>".join(map(escape, _SEAM.split(name))))  # noqa: S308 -- escaped here
