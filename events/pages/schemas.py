"""The types of events, by version: fields, JSON Schema, casters, samples. Of the registry alone."""

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from events import registry
from events.access import Principal, Right
from events.pages import parameters
from events.pages.frame import require, tenant_page
from events.pages.integrations import render_integration
from events.registry import Kind
from events.schemas import document, fields

TAB = "schemas"
OF_AGENTS = frozenset(each.wire_type() for each in registry.DOMAIN_EVENTS)


@require_safe
@tenant_page
def schema_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`?q=` narrows by a part of the type's name."""
    require(request, principal, Right.OVERSEE)
    asked = parameters.text(request, "q")
    rows = [
        {
            "type": name,
            "versions": registry.versions(name),
            "says": _description(name, registry.versions(name)[-1]),
            "is_of_agents": name in OF_AGENTS,
        }
        for name in registry.types()
        if asked.lower() in name.lower()
    ]
    context = {"title": "Schemas", "rows": rows, "asked": asked}
    return render_integration(request, principal, "events/schemas/list.html", TAB, context)


@require_safe
@tenant_page
def schema_page(
    request: HttpRequest, principal: Principal, type: str, version: str | None = None
) -> HttpResponse:
    """One version of a type, the newest where none is asked for."""
    require(request, principal, Right.OVERSEE)
    try:
        versions = registry.versions(type)
        kind = Kind(type, version or versions[-1])
        schema = document.served(*kind)
    except registry.UnknownFact:
        raise Http404 from None
    context = {
        "title": type,
        "kind": kind,
        "newest": versions[-1],
        "versions": versions,
        "says": _description(*kind),
        "is_of_agents": type in OF_AGENTS,
        "fields": fields.fields(type),
        "schema": schema.decode(),
        "schema_url": document.path(*kind),
        "sha256": document.sha256(document.document(*kind)),
        "steps": fields.steps(type),
        "sample": msgspec.json.format(fields.sample(kind), indent=2).decode(),
    }
    return render_integration(request, principal, "events/schemas/schema.html", TAB, context)


def _description(type: str, version: str) -> str:
    found: str = document.document(type, version).get("description", "")
    return found
