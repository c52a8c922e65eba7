"""GET /export: a tenant's log as a file, whole or filtered. Each copy that is taken is a fact."""

from typing import ClassVar

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from events.access import Right
from events.api.door import JSON, SEQ, TenantDoor
from events.api.handover import handed_over
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import named
from events.api.openapi.shape import TEXT, Shape, whole
from events.api.problem import invalid, invalid_parameter, unavailable
from events.api.timeline import FILTERS, asked_of, wanted_of
from events.ratelimits.scopes import Scope
from events.signing import NoSigningKey
from events.tenants import Refused
from events.transfer import taking
from events.transfer.taking import Copy

FORMATS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",
    "bundle": "application/zip",
}
BYTES = Shape({"type": "string", "contentMediaType": "application/zip"})
ALL_FILTERS = ("types", "agent", *FILTERS[1:])


def _renderer(kind: str) -> type[BaseRenderer]:
    """For the negotiation alone: whoever accepts one of these gets what `format` says."""
    return type("Renderer", (BaseRenderer,), {"media_type": kind, "format": None})


def head_of(copy: Copy) -> HttpResponse:
    """The head of the answer that a copy is."""
    response = HttpResponse(content_type=FORMATS[copy.asked.format])
    response.headers["Content-Disposition"] = f'attachment; filename="{copy.file_name}"'
    response.headers[SEQ] = str(copy.export.to_seq)
    response.headers["X-Accel-Buffering"] = "no"  # nginx would put it all on its disk first
    return response


class LogExport(TenantDoor):
    """GET /export"""

    rights: ClassVar = {"GET": Right.AUDIT}
    known: ClassVar = {"GET": ("format", *ALL_FILTERS, "query", "from_seq", "to_seq", "min_seq")}
    scopes: ClassVar = {"GET": Scope.EXPORT}  # HEAD takes no copy
    parameters: ClassVar = {
        "format": named(FORMATS, "`jsonl` without it. `bundle` is both, signed, for an audit."),
        "from_seq": Parameter(whole(1), "The first event, the log's first without it."),
        "to_seq": Parameter(whole(1), "The last event, the log's last without it."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "export_log",
            "events",
            "The log as a file, whole or filtered",
            "Its lines are described in docs/export.md, and so is the bundle. Each copy that is "
            "taken is recorded in the log. A filtered file says so in its first line, and cannot "
            "be imported.",
            content={"application/x-ndjson": TEXT, "text/csv": TEXT, "application/zip": BYTES},
            headers=("Content-Disposition",),
        )
    }
    renderer_classes = (
        _renderer(JSON),
        _renderer("application/x-ndjson"),
        _renderer("application/jsonl"),
        _renderer("text/csv"),
        _renderer("application/zip"),
    )

    def get(self, request: Request, **__: str) -> HttpResponseBase:
        """HEAD comes here too: it says what GET would send, and takes no copy."""
        ending = self.query.text("format") or "jsonl"
        if ending not in FORMATS:
            raise invalid_parameter("format", f"must be {', '.join(FORMATS)}.")
        asked = asked_of(self.query, self.tenant)
        if asked is not None:
            wanted, filters = asked.wanted, asked.filters
        else:
            wanted = wanted_of(self.query, self.tenant)
            filters = {name: text for name in ALL_FILTERS if (text := self.query.text(name))}
        first, last = (self.query.whole(name, least=1) for name in ("from_seq", "to_seq"))
        self.head_seq()
        copy = self._copy(taking.Asked(ending, wanted, filters, first, last))
        response = head_of(copy)
        if request.method == "HEAD":
            return response
        return handed_over(self.http_request, response, copy.take(by=self.context()))

    def _copy(self, asked: taking.Asked) -> Copy:
        try:
            return taking.copy_of(self.tenant, asked)
        except NoSigningKey as error:
            raise unavailable(str(error)) from None
        except Refused as refused:
            name = "from_seq" if asked.from_seq else "to_seq"
            detail = str(refused)
            raise invalid(detail, {"parameter": name, "detail": detail}) from None
