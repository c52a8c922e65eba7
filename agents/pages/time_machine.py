"""The time machine: one agent at any version of its past, what changed there and who did it, and
what differs between two versions. The address holds all of it, so any view of the past is a link.

    ?version=12             or ?at=2026-11-23T14:02 or ?seq=40312; the newest without any
    &compare=3              and what differs from version 3, or from a moment
    &go=next-status         leads on to the next change of status, &go=previous-status back
"""

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from agents.current import Loaded
from agents.pages import past, points
from agents.pages.past import Sought
from agents.pages.points import Nowhere
from agents.pages.views import found, heading, metadata_text
from events.access import Principal
from events.pages import parameters
from events.pages.frame import render_page, tenant_page

_LOCAL = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?")
KEYS = (
    (("\N{LEFTWARDS ARROW}", "\N{RIGHTWARDS ARROW}"), "one version back, one on"),
    (("Home", "End"), "the first version, the newest (from the slider and its buttons)"),
)
NEXT, PREVIOUS = "next-status", "previous-status"


@require_safe
@tenant_page
def time_machine(request: HttpRequest, principal: Principal, agent_id: str) -> HttpResponse:
    tenant, loaded = principal.tenant, found(principal, agent_id)
    context: dict[str, Any] = {
        **heading(request, loaded, "history"),
        "newest": loaded.version,
        "page_keys": KEYS,
    }
    try:
        version = points.asked(request, tenant, loaded)
    except Nowhere as nowhere:
        context |= {
            "nowhere": nowhere,
            "steps": _steps(request, None, loaded.version),
            "at": _typed_moment(parameters.text(request, "at")),
            "compare": parameters.text(request, "compare"),
        }
        return render_page(request, principal, "agents/history.html", context)
    sought = _sought(request, tenant, loaded, version)
    if sought and sought.version:
        return redirect(f"{request.path}{_link(request, sought.version)}")
    if sought:
        context |= {"searched": (min(version, sought.looked_to), max(version, sought.looked_to))}
        version = sought.looked_to
    shown, address = past.at_version(tenant, agent_id, version), _link(request, version)
    context |= _compared(request, tenant, loaded, version)
    context |= {
        "shown": shown,
        "metadata": metadata_text(shown.agent),
        "steps": _steps(request, version, loaded.version),
        "address": address,
        "link": request.build_absolute_uri(request.path + address),
        "at": _typed_moment(parameters.text(request, "at")),
        "pinned": _link(request, version, compare=version),
        "unpinned": _link(request, version, compare=None),
    }
    return render_page(request, principal, "agents/history.html", context)


def _sought(request: HttpRequest, tenant: str, loaded: Loaded, version: int) -> Sought | None:
    go, agent_id = parameters.text(request, "go"), loaded.agent.agent_id
    if go == NEXT:
        return past.next_status(tenant, agent_id, version, loaded.version)
    if go == PREVIOUS:
        return past.previous_status(tenant, agent_id, version)
    return None


def _compared(request: HttpRequest, tenant: str, loaded: Loaded, version: int) -> dict[str, Any]:
    try:
        other = points.compared(request, tenant, loaded)
    except Nowhere as nowhere:
        return {"incomparable": nowhere, "compare": nowhere.text}
    if other is None:
        return {}
    compared = past.compare(tenant, loaded.agent.agent_id, version, other)
    return {
        "compared": compared,
        "compare": parameters.text(request, "compare"),
        "explained": past.EXPLAINED,
    }


def _steps(request: HttpRequest, version: int | None, newest: int) -> dict[str, str | None]:
    """Where the buttons lead; None where one leads nowhere."""
    first = _link(request, 1) if version != 1 else None
    last = _link(request, newest) if version != newest else None
    if version is None:
        return {"first": first, "last": last}
    return {
        "first": first,
        "previous": _link(request, version - 1) if version > 1 else None,
        "next": _link(request, version + 1) if version < newest else None,
        "last": last,
        "previous_status": _link(request, version, go=PREVIOUS) if version > 1 else None,
        "next_status": _link(request, version, go=NEXT) if version < newest else None,
    }


def _typed_moment(text: str) -> str:
    """As it was typed, where the browser's field for moments can show it."""
    return text if _LOCAL.fullmatch(text) else ""


def _link(request: HttpRequest, version: int, **changes: str | int | None) -> str:
    """This page at a version, with the comparison that the address asks for."""
    plain: dict[str, str | int | None] = {"seq": None, "at": None, "go": None, "version": version}
    return parameters.link(request, **(plain | changes))
