"""Many new agents from a CSV file: all of it is checked and shown before anything is recorded.

What is shown is what is done: the text travels with the page, and is checked again when it was
changed since. Lines with faults are named and left out; the others are one append.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from agents import fleet_commands, services
from agents.command import Outcome, RaceLost, Request
from agents.fleet_commands import MOST_AGENTS, Order
from agents.pages import bulk_results, csv_agents
from agents.pages.csv_agents import COLUMNS, MOST_BYTES, SAMPLE, Fault, Row, Sheet, Unreadable
from agents.pages.refusals import CONFLICT, Refusal
from events.access import Principal, Right
from events.idempotency import AnsweredBefore
from events.log.proposal import Context
from events.origin import context_of
from events.pages.frame import render_page, require, tenant_page


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that was looked at. unreadable: why no line could be told of."""

    text: str = ""
    sheet: Sheet = field(default_factory=Sheet)
    unreadable: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def lines_at_fault(self) -> list[int]:
        return sorted({fault.line for fault in self.sheet.faults})


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def check(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The file, and what is in it. Records nothing."""
    require(request, principal, Right.OPERATE)
    if request.method != "POST":
        return _page(request, principal, None)
    checked = _given(request)
    try:
        compared = _compared(principal, checked, context_of(request, principal.actor))
    except RaceLost as lost:
        return _page(request, principal, checked, Refusal(str(lost), CONFLICT))
    return _page(request, principal, compared)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def create(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Create the agents of all lines that have no fault of their own. What the tenant has to say
    against one is asked by doing it, and told with the results."""
    if request.method != "POST":
        return redirect("admin:import_agents", principal.tenant)
    require(request, principal, Right.OPERATE)
    tenant, correlation = principal.tenant, bulk_results.correlation_of(request.POST)
    once = bulk_results.once_of(tenant, correlation)
    if once.earlier_answer() is not None:
        return redirect("admin:bulk_result", tenant, correlation)
    by = context_of(request, principal.actor, None, correlation)
    checked = _given(request)
    if not checked.sheet.rows or checked.digest != request.POST.get("checked"):
        refusal = Refusal("The text was changed after it was checked. Look again.", CONFLICT)
        return _page(request, principal, checked, refusal if checked.sheet.rows else None)
    rows = _named(checked.sheet.rows)
    lines = {row.values["agent_id"]: row.line for row in rows}
    summarize = bulk_results.summary("import", by, lines=lines, skipped=checked.lines_at_fault)
    try:
        seq = fleet_commands.carry_out(tenant, _orders(tenant, rows, by), once, summarize)
    except AnsweredBefore:
        return redirect("admin:bulk_result", tenant, correlation)
    except RaceLost as lost:
        return _page(request, principal, checked, Refusal(str(lost), CONFLICT))
    return redirect(bulk_results.address(tenant, correlation, seq))


@require_safe
@tenant_page
def sample(request: HttpRequest, principal: Principal) -> HttpResponse:
    """A file to begin with. The mark at its beginning tells spreadsheets that it is UTF-8."""
    return HttpResponse(
        SAMPLE.encode("utf-8-sig"),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="agents.csv"'},
    )


def _given(request: HttpRequest) -> Checked:
    """The file that was sent, else the text that was typed."""
    file, typed = request.FILES.get("file"), request.POST.get("text", "")
    is_sent = file is not None and bool(file.size)
    # What was typed is read as if it had been a file.
    raw = file.read(MOST_BYTES + 1) if file and is_sent else typed.encode("utf-8", "replace")
    try:
        text = csv_agents.text_of(raw)
    except Unreadable as error:
        return Checked("" if is_sent else typed.replace("\0", ""), unreadable=str(error))
    try:
        return Checked(text, csv_agents.read(text))
    except Unreadable as error:
        return Checked(text, unreadable=str(error))


def _compared(principal: Principal, checked: Checked, by: Context) -> Checked:
    """With what the tenant has to say: ids that are taken, above all."""
    sheet = checked.sheet
    rows = _named(sheet.rows)  # of an unreadable file there are none
    told = fleet_commands.rehearse(principal.tenant, _orders(principal.tenant, rows, by))
    able, faults = [], list(sheet.faults)
    for row, each in zip(sheet.rows, told, strict=True):
        if each.refusal is None:
            able.append(row)
        else:
            faults.append(Fault(row.line, "agent_id", str(each.refusal)))
    faults.sort(key=lambda fault: fault.line)
    return replace(checked, sheet=Sheet(able, faults, sheet.notes))


def _named(rows: Sequence[Row]) -> list[Row]:
    """Each with an id, made where there is none: before it is decided, which may happen twice."""
    return [
        row
        if row.values["agent_id"] is not None
        else replace(row, values={**row.values, "agent_id": services.new_agent_id()})
        for row in rows
    ]


def _orders(tenant: str, rows: Sequence[Row], by: Context) -> list[Order]:
    def order(row: Row) -> Order:
        def give(request: Request) -> list[Outcome]:
            at: dict[str, Any] = {"tenant": tenant, "by": by, "request": request}
            outcomes = [services.create_agent(**row.values, **at)]
            if row.activate:
                agent_id = row.values["agent_id"]
                outcomes.append(services.activate_agent(agent_id=agent_id, **at))
            return outcomes

        return Order(agent_id=row.values["agent_id"], give=give)

    return [order(row) for row in rows]


def _page(
    request: HttpRequest,
    principal: Principal,
    checked: Checked | None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    status: int = HTTPStatus.OK
    if refusal:
        status = refusal.status
    elif checked is not None and not checked.sheet.rows:
        status = HTTPStatus.BAD_REQUEST
    context = {
        "title": "Import agents",
        "section": "fleet",
        "checked": checked,
        "columns": list(COLUMNS),
        "correlation": uuid.uuid4().hex,
        "most_agents": MOST_AGENTS,
        "most_kib": MOST_BYTES // 1024,
        "refusal": refusal,
    }
    return render_page(request, principal, "agents/import.html", context, status=status)
