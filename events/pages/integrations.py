"""The parts of the section Integrations: a tab each, on every page of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse

from events.access import Principal
from events.pages.frame import render_page


@dataclass(frozen=True, slots=True)
class Tab:
    """name: what a page says it is, as `tab` in its context."""

    name: str
    label: str
    url_name: str


TABS: tuple[Tab, ...] = (
    Tab("overview", "Overview", "admin:integrations"),
    Tab("subscriptions", "Subscriptions", "admin:subscriptions"),
    Tab("relay", "Relay", "admin:relay"),
    Tab("tokens", "Tokens", "admin:tokens"),
    Tab("schemas", "Schemas", "admin:schemas"),
)


def render_integration(
    request: HttpRequest,
    principal: Principal,
    template: str,
    tab: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """A page of the section, under its tabs. context: `title` at least."""
    around = {"section": "integrations", "tabs": TABS, "tab": tab}
    return render_page(request, principal, template, {**around, **context}, status=status)
