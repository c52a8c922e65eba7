"""GET /export: a tenant's log as a file, whole or filtered. Each copy that is taken is a fact."""

from typing import Any, ClassVar

from django.http import HttpResponse
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
from events.api.timeline import FILTERS, wanted_of
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
    known: ClassVar = {"GET": ("format", *ALL_FILTERS, "min_seq")}
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
        filters = {name: text for name in ALL_FILTERS if (text := self.query.text(name))}
        wanted = wanted_of(self.query, self.query.pattern("agent"))
        self.head_seq()
        chosen = export.of(self.tenant, wanted=wanted, filters=filters)
        content_type, chunks = FORMATS[ending]
        response = HttpResponse(content_type=content_type)
        response.headers["Content-Disposition"] = (
            f'attachment; filename="{chosen.file_name(ending)}"'
        )
        response.headers[SEQ] = str(chosen.to_seq)
        response.headers["X-Accel-Buffering"] = "no"  # nginx would put it all on its disk first
        if request.method == "HEAD":
            return response
        self._record(chosen, ending, dict(filters))
        return handed_over(self.http_request, response, chunks(chosen))

    def _record(self, chosen: Export, ending: str, filters: dict[str, Any]) -> None:
        """Before the first byte, since a copy that broke off is a copy too. The fact's own seq is
        beyond the part that is exported."""
        fact = LogExported(
            format=ending, from_seq=chosen.from_seq, to_seq=chosen.to_seq, filters=filters
        )
        record(self.tenant, fact, by=self.context())
