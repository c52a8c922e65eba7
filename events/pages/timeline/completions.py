"""What can stand behind `type:`, `agent:` and `actor:` in this tenant, by how it begins.

Bounded, and so not all there is: agents in the order of their ids, actors among members, tokens,
agents and those who acted last.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from events import registry
from events.access import Principal, Right, actor_of_token
from events.cloudevents import AGENT_STREAM
from events.log.places import streams_after
from events.models import Event, Membership, Token
from events.pages import parameters
from events.pages.frame import tenant_page
from events.pages.timeline.ready_made import KINDS, kind_of
from events.query_language import Name

MOST = 12
LOOKED_AT = 300  # agents, members and tokens, and as many of the newest events


@require_safe
@tenant_page
def completions(request: HttpRequest, principal: Principal) -> JsonResponse:
    """{"items": [{"text": as it is typed, "what"}]}; of a field that has none there are none."""
    prefix = parameters.text(request, "prefix")
    match request.GET.get("field"):
        case "type":
            fitting = _types(prefix.casefold())
        case "agent":
            fitting = _first(_agents(principal.tenant, prefix), prefix)
        case "actor":
            fitting = _first(_actors(principal, prefix), prefix)
        case _:
            fitting = []
    return JsonResponse({"items": [{"text": str(name), "what": what} for name, what in fitting]})


def _types(prefix: str) -> list[tuple[Name, str]]:
    """Beginnings that several types share, and types."""
    known = [
        *((Name(beginning, begins=True), f"{kind}, all of them") for beginning, kind in KINDS),
        *((Name(each), kind_of(each)) for each in registry.types()),
    ]
    fitting = [
        (name, what)
        for name, what in known
        if name.text.casefold().startswith(prefix) and any(map(name.fits, registry.types()))
    ]
    return sorted(fitting, key=lambda each: (not each[0].begins, each[0].text))


def _first(found: Iterable[tuple[str, str]], prefix: str) -> list[tuple[Name, str]]:
    fitting: dict[str, str] = {}
    for value, what in found:
        if value.startswith(prefix):
            fitting.setdefault(value, what)
        if len(fitting) == MOST:
            break
    return [(Name(value), what) for value, what in sorted(fitting.items())]


def _agents(tenant: str, prefix: str) -> Iterator[tuple[str, str]]:
    # What begins so comes after it, in whatever order the database has.
    if prefix and Event.objects.filter(
        tenant=tenant, stream_type=AGENT_STREAM, stream_id=prefix, version=1
    ):
        yield prefix, "agent"
    for agent_id in streams_after(tenant, AGENT_STREAM, prefix, LOOKED_AT):
        yield agent_id, "agent"


def _actors(principal: Principal, prefix: str) -> Iterator[tuple[str, str]]:
    tenant = principal.tenant
    members = Membership.objects.filter(tenant=tenant, user__username__startswith=_after(prefix))
    tokens = Token.objects.filter(tenant=tenant).exclude(role="agent").order_by("-created_at")
    latest = Event.objects.filter(tenant=tenant).order_by("-seq").values_list("actor", flat=True)
    names = members.order_by("user__username").values_list("user__username", "role")
    if not principal.may(Right.OVERSEE):
        names, tokens = names.none(), tokens.none()
    return chain(
        ((f"user:{name}", role) for name, role in names[:LOOKED_AT]),
        ((actor_of_token(token), "token") for token in tokens[:LOOKED_AT]),
        ((actor, "acted lately") for actor in latest[:LOOKED_AT]),
        ((f"agent:{agent_id}", "agent") for agent_id, _ in _agents_of(tenant, prefix)),
    )


def _after(prefix: str) -> str:
    return prefix.removeprefix("user:") if prefix.startswith("user:") else ""


def _agents_of(tenant: str, prefix: str) -> Iterator[tuple[str, str]]:
    if prefix.startswith("agent:"):
        yield from _agents(tenant, prefix.removeprefix("agent:"))
