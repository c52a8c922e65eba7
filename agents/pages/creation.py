"""Making one new agent."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from agents import services
from agents.domain import limits
from agents.pages.refusals import REFUSALS, Refusal, refusal_of, refusal_of_form
from agents.pages.values import tags_of
from events.access import Principal, Right
from events.origin import context_of
from events.pages.fields import JSONText, LongText
from events.pages.frame import render_page, require, tenant_page
from events.vocabulary import Capability

DEFAULT_TIMEOUT_SECONDS = 90
BLANK_ROWS = 2  # below those that are filled in
LEVELS = range(limits.MIN_LEVEL, limits.MAX_LEVEL + 1)

Row = tuple[str, str]  # a capability's name and level, as they were typed


class CapabilityRows(forms.Widget):
    """A row each: a name and a level. The fields are called `capability` and `level`."""

    use_fieldset = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Row]:
        names, levels = data.getlist("capability"), data.getlist("level")
        levels += [""] * (len(names) - len(levels))
        rows = [(each.strip(), level) for each, level in zip(names, levels, strict=False)]
        return [row for row in rows if row[0]]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return "capability" not in data

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        rows = [*(value or ()), *[("", "")] * BLANK_ROWS]
        context = {"rows": rows, "levels": [str(level) for level in LEVELS], "attrs": attrs or {}}
        return render_to_string("agents/capability_rows.html", context)


class CapabilitiesField(forms.Field):
    """The capabilities of the rows that have a name."""

    widget = CapabilityRows
    default_error_messages = {"required": "must name at least one capability."}  # noqa: RUF012

    def to_python(self, rows: list[Row] | None) -> list[Capability]:
        found = []
        for number, (name, level) in enumerate(rows or (), 1):
            if level not in map(str, LEVELS):
                raise ValidationError(f"needs a level in row {number}, for {name[:40]}.")
            found.append(Capability(name, int(level)))
        return found


class CreateAgent(forms.Form):
    name = forms.CharField()
    agent_id = forms.CharField(
        required=False,
        label="Id",
        help_text="3 to 256 letters, digits, _ and -. Stays for ever. Empty: one is made.",
    )
    agent_type = forms.CharField(required=False, label="Type")
    description = LongText(required=False)
    capabilities = CapabilitiesField(
        help_text="At least one, with a level from 1 (novice) to 5 (expert)."
    )
    tags = forms.CharField(required=False, help_text="With commas between.")
    metadata = JSONText(label="Metadata (JSON)")
    health_check_timeout_seconds = forms.IntegerField(
        label="Health check timeout in seconds",
        initial=DEFAULT_TIMEOUT_SECONDS,
        help_text="Without a heartbeat for so long the agent counts as unhealthy.",
    )

    def values(self) -> dict[str, Any]:
        """The form as `agents.services.create_agent` takes it."""
        return {
            **self.cleaned_data,
            "agent_id": self.cleaned_data["agent_id"] or None,
            "tags": tags_of(self.cleaned_data["tags"]),
        }


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def create_agent(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OPERATE)
    if request.method != "POST":
        return _creation(request, principal, CreateAgent())
    if "more" in request.POST:  # another row, where no script adds it
        return _creation(request, principal, CreateAgent(initial=_as_typed(request.POST)))
    form = CreateAgent(request.POST)
    if not form.is_valid():
        return _creation(request, principal, form, refusal_of_form(form))
    try:
        outcome = services.create_agent(
            tenant=principal.tenant,
            **form.values(),
            by=context_of(request, principal.actor),
        )
    except REFUSALS as error:
        return _creation(request, principal, form, refusal_of(error, form))
    agent_id = outcome.agent.agent_id
    messages.success(request, f"{agent_id} is registered. Activate it to give it tasks.")
    return redirect("admin:agent", principal.tenant, agent_id)


def _as_typed(given: QueryDict) -> dict[str, Any]:
    rows = CapabilityRows().value_from_datadict(given, None, "")
    typed = {name: given.get(name, "") for name in CreateAgent.base_fields}
    return {**typed, "capabilities": [*rows, ("", "")]}


def _creation(
    request: HttpRequest, principal: Principal, form: forms.Form, refusal: Refusal | None = None
) -> HttpResponse:
    context = {"title": "New agent", "section": "fleet", "form": form, "refusal": refusal}
    status = refusal.status if refusal else 200
    return render_page(request, principal, "agents/create.html", context, status=status)
