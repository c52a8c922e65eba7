"""GET /export: a tenant's log as a file, whole or filtered. Each copy that is taken is a fact."""

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from events.access import Right
from events.api.door import JSON, SEQ, TenantDoor
from events.api.handover import handed_over
from events.api.openapi.operation import Operation
from events.api.openapi.parameters import named
from events.api.openapi.shape import TEXT
from events.api.problem import invalid_parameter
from events.api.timeline import FILTERS, asked_of, wanted_of
from events.log.proposal import Context
from events.ratelimits.scopes import Scope
from events.tenant_facts import LogExported
from events.tenants import record
from events.transfer import export
from events.transfer.export import Export

FORMATS = {
    "jsonl": ("application/x-ndjson", export.jsonl),
    "csv": ("text/csv; charset=utf-8; header=present", export.csv),
}
ALL_FILTERS = ("types", "agent", *FILTERS[1:])


def _renderer(kind: str) -> type[BaseRenderer]:
    """For the negotiation alone: whoever accepts one of these gets what `format` says."""
    return type("Renderer", (BaseRenderer,), {"media_type": kind, "format": None})


class LogExport(TenantDoor):
    """GET /export"""

    rights: ClassVar = {"GET": Right.AUDIT}
    known: ClassVar = {"GET": ("format", *ALL_FILTERS, "query", "min_seq")}
    scopes: ClassVar = {"GET": Scope.EXPORT}  # HEAD takes no copy
    parameters: ClassVar = {
        "format": named(FORMATS, "`jsonl` without it."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "export_log",
            "events",
            "The log as a file, whole or filtered",
            "Its lines are described in docs/export.md. Each copy that is taken is recorded in the "
            "log. A filtered file says so in its first line, and cannot be imported.",
            content={"application/x-ndjson": TEXT, "text/csv": TEXT},
            headers=("Content-Disposition",),
        )
    }
    renderer_classes = (
        _renderer(JSON),
        _renderer("application/x-ndjson"),
        _renderer("application/jsonl"),
        _renderer("text/csv"),
    )

    def get(self, request: Request, **__: str) -> HttpResponseBase:
        """HEAD comes here too: it says what GET would send, and takes no copy."""
        ending = self.query.text("format") or "jsonl"
        if ending not in FORMATS:
            raise invalid_parameter("format", f"must be {' or '.join(FORMATS)}.")
        asked = asked_of(self.query, self.tenant)
        if asked is not None:
            wanted, filters = asked.wanted, asked.filters
        else:
            wanted = wanted_of(self.query, self.tenant)
            filters = {name: text for name in ALL_FILTERS if (text := self.query.text(name))}
        self.head_seq()
        chosen = export.of(self.tenant, wanted=wanted, filters=filters)
        if request.method == "HEAD":
            return head_of(chosen, ending)
        return copy_of(self.http_request, chosen, ending, self.context())


def head_of(chosen: Export, ending: str) -> HttpResponse:
    """The head of a copy's answer. ending: one of FORMATS."""
    response = HttpResponse(content_type=FORMATS[ending][0])
    response.headers["Content-Disposition"] = f'attachment; filename="{chosen.file_name(ending)}"'
    response.headers[SEQ] = str(chosen.to_seq)
    response.headers["X-Accel-Buffering"] = "no"  # nginx would put it all on its disk first
    return response


def copy_of(request: HttpRequest, chosen: Export, ending: str, by: Context) -> HttpResponseBase:
    """The copy, which is recorded before its first byte, since one that broke off is one too. The
    fact's own seq is beyond the part that is exported."""
    fact = LogExported(
        format=ending,
        from_seq=chosen.from_seq,
        to_seq=chosen.to_seq,
        filters=dict(chosen.filters),
    )
    record(chosen.tenant.slug, fact, by=by)
    chunks = FORMATS[ending][1]
    return handed_over(request, head_of(chosen, ending), chunks(chosen))
