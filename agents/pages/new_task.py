"""The form that gives a task to whoever is best suited."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents import services
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.routing import Match, Preference, Requirement
from agents.pages.refusals import CONFLICT, REFUSALS, Refusal, refusal_of, refusal_of_form
from agents.pages.values import requirements_of, tags_of
from agents.routing import NoAgent, TooManyOthers
from events.access import Principal, Right
from events.idempotency import Answer
from events.log.proposal import Context, uuid7
from events.origin import context_of
from events.pages import parameters
from events.pages.fields import JSONText
from events.pages.frame import render_page, require, tenant_page

CREATED = 201


class NewTask(forms.Form):
    task_id = forms.CharField(
        label="Task id",
        widget=forms.TextInput({"autocomplete": "off", "class": "code"}),
        help_text="1 to 256 letters, digits, . _ : and -. A failed task may be given again.",
    )
    required_capabilities = forms.CharField(
        widget=forms.Textarea({"rows": 3, "class": "code", "placeholder": "translation 4"}),
        help_text="At least one, a line each: its name and, if you like, the least level, 1 to 5.",
    )
    input = JSONText(label="Input (JSON)", rows=5)
    prefer_agent = forms.CharField(
        required=False,
        label="Preferred agent",
        widget=forms.TextInput({"autocomplete": "off"}),
        help_text="Its id. It comes first if it can take the task.",
    )
    prefer_tags = forms.CharField(
        required=False, label="Preferred tags", help_text="With commas between."
    )

    def clean_required_capabilities(self) -> list[Requirement]:
        return requirements_of(self.cleaned_data["required_capabilities"])

    def send(self, tenant: str, by: Context) -> tuple[str, Match]:
        """Who has the task now, and how well it is suited. Errors as in `services.route_task`."""
        values = self.cleaned_data
        matches: list[Match] = []

        def note(_: Any, match: Match, __: Any) -> Answer:
            matches.append(match)
            return Answer(CREATED, {})

        outcome = services.route_task(
            tenant=tenant,
            task_id=values["task_id"],
            required=values["required_capabilities"],
            prefer=Preference(
                values["prefer_agent"] or None, tuple(tags_of(values["prefer_tags"]))
            ),
            input=values["input"],
            by=by,
            render=note,
        )
        return outcome.agent.name, matches[-1]


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def new_task(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`?task_id=` fills in the id: of a task that has failed and is to be tried again."""
    require(request, principal, Right.OPERATE)
    if request.method != "POST":
        task_id = parameters.text(request, "task_id") or f"task-{uuid7()}"
        return _page(request, principal, NewTask(initial={"task_id": task_id}))
    form = NewTask(request.POST)
    if not form.is_valid():
        return _page(request, principal, form, refusal_of_form(form))
    try:
        name, match = form.send(principal.tenant, context_of(request, principal.actor))
    except (*REFUSALS, NoAgent, TooManyOthers) as error:
        return _page(request, principal, form, _refusal(error, form))
    task_id = form.cleaned_data["task_id"]
    messages.success(request, f"{name} has {task_id}: the best of those available, {_why(match)}.")
    return redirect("admin:task", principal.tenant, task_id)


def _why(match: Match) -> str:
    return (
        f"score {match.score:.2f} (capability {match.capability:.2f}, success {match.success:.2f}, "
        f"idle {match.idle:.2f})"
    )


def _refusal(error: Exception, form: NewTask) -> Refusal:
    """The same, said where it is to be mended as well."""
    if isinstance(error, NoAgent):
        for reason in error.reasons:
            form.add_error("required_capabilities", reason.detail)
        return Refusal(f"No agent can take the task now. {error.advice}", CONFLICT)
    if isinstance(error, InvalidCommand):
        error = _renamed(error)
    if isinstance(error, RuleViolated):
        form.add_error("task_id", str(error))
    return refusal_of(error, form)


def _renamed(error: InvalidCommand) -> InvalidCommand:
    """By the names of the form's fields: prefer/agent_id is prefer_agent here."""
    for field, ours in (("prefer/agent_id", "prefer_agent"), ("prefer/tags", "prefer_tags")):
        if error.field.startswith(field):
            return InvalidCommand(ours + error.field.removeprefix(field), error.detail)
    return error


def _page(
    request: HttpRequest, principal: Principal, form: NewTask, refusal: Refusal | None = None
) -> HttpResponse:
    context = {"title": "New task", "section": "tasks", "form": form, "refusal": refusal}
    status = refusal.status if refusal else 200
    return render_page(request, principal, "agents/new_task.html", context, status=status)
