"""The list of agents: filtered, in pages both ways, live, or as it stood at any moment."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from agents import fleet
from agents.fleet_commands import MOST_AGENTS
from agents.pages.facets import facets
from agents.pages.filters import LEVELS, Filters, filters_of
from agents.pages.fleet import Listed, listed
from agents.pages.then import NoSuchMoment, Then, then_of
from events.access import Principal, Right
from events.facts import utc_now
from events.pages import parameters
from events.pages.frame import render_page, tenant_page

PAGE = 50
PAGING = ("after", "before")
KEYS = (
    (("j", "k"), "the next and the previous agent"),
    (("x",), "tick it"),
    (("o",), "open it"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Agents in the order of their ids. after, before: where the pages beside it begin; None where
    there is none, or nobody can know whether there is."""

    agents: list[Listed]
    after: str | None
    before: str | None

    @property
    def ids(self) -> list[str]:
        return [each.agent.agent_id for each in self.agents]


NOBODY = Page([], None, None)


@require_safe
@tenant_page
def agent_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """By id. `?after=` and `?before=` turn pages, `?at=` or `?seq=` shows the past."""
    filters, status = filters_of(request.GET), HTTPStatus.OK
    then, no_such_moment = None, None
    try:
        then = then_of(request.GET, principal.tenant)
    except NoSuchMoment as error:
        no_such_moment, status = error, HTTPStatus.BAD_REQUEST
    page = NOBODY
    if not filters.faults and no_such_moment is None:
        page = page_of(request, principal.tenant, filters, then)
    context = {
        "title": "Fleet",
        "section": "fleet",
        "filters": filters,
        "levels": LEVELS,
        "facets": facets(
            principal.tenant,
            filters,
            lambda **changes: _link(request, **changes),
            counted=then is None and no_such_moment is None,
        ),
        "then": then,
        "no_such_moment": no_such_moment,
        "page": page,
        "most_agents": MOST_AGENTS,
        "page_keys": KEYS,
        "offers_commands": principal.may(Right.OPERATE) and then is None and page.agents,
        **_links(request, filters, page, then),
    }
    return render_page(request, principal, "agents/list.html", context, status=status)


def page_of(request: HttpRequest, tenant: str, filters: Filters, then: Then | None) -> Page:
    after, before = (parameters.text(request, name) or None for name in PAGING)
    seq = None if then is None else then.seq
    before = None if after else before
    found = fleet.page(tenant, filters.wanted, limit=PAGE, after=after, before=before, seq=seq)
    now = utc_now() if then is None or then.moment is None else then.moment
    page = Page([listed(each.agent, now) for each in found.agents], found.next, None)
    ids = page.ids
    if before:
        # Whoever turned back came from the page that follows.
        return replace(page, after=ids[-1] if ids else None, before=found.next)
    return replace(page, before=ids[0] if after and ids else None)


def _links(request: HttpRequest, filters: Filters, page: Page, then: Then | None) -> dict[str, Any]:
    def link(**changes: str | None) -> str:
        return _link(request, **{"after": None, "before": None} | changes)

    without_tag = [(tag, _without_tag(request, place)) for place, tag in enumerate(filters.tags)]
    is_first = not any(parameters.text(request, name) for name in PAGING)
    typed = request.GET.get("at", "")[: parameters.MAX_TEXT]
    if then is not None and then.moment is not None:
        typed = as_typed(then.moment)
    return {
        "is_first": is_first,
        "next": link(after=page.after) if page.after else None,
        "previous": link(before=page.before) if page.before else None,
        "first": link(),
        "any_status": link(status=None),
        "any_health": link(health=None),
        "now": link(at=None, seq=None),
        "chosen_tags": without_tag,
        "typed_moment": typed,
    }


def _without_tag(request: HttpRequest, place: int) -> str:
    tags = [tag for tag in request.GET.getlist("tag") if tag.strip()]
    return _link(request, tag=tags[:place] + tags[place + 1 :], after=None, before=None)


def _link(request: HttpRequest, **changes: str | list[str] | None) -> str:
    """The same page with other parameters, without those that a form has sent empty."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.setlist(name, value if isinstance(value, list) else [value or ""])
    for name, values in list(query.lists()):
        query.setlist(name, [value for value in values if value])
    return f"?{query.urlencode()}"


def as_typed(moment: datetime) -> str:
    """As a browser's field for moments holds it, in the person's zone, to the millisecond.

    Rounded up, so that what was recorded at this very moment is shown when it is sent again.
    """
    rounded = moment + timedelta(microseconds=-moment.microsecond % 1_000)
    return timezone.localtime(rounded).isoformat(timespec="milliseconds")[:23]
