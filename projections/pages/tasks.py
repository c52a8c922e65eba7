"""The tenant's tasks as a list, the newest first."""

from dataclasses import dataclass

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from events.access import Principal
from events.pages import parameters
from events.pages.fields import MomentField, PatternField
from events.pages.frame import render_page, tenant_page
from events.patterns import Pattern
from projections.tasks import queries
from projections.tasks.queries import TaskFound, Wanted
from projections.tasks.rows import STATUSES

PAGE = 50


class TaskFilters(forms.Form):
    """What a person looks for; every field may be left empty."""

    task = forms.CharField(
        required=False,
        max_length=parameters.MAX_TEXT,
        label="Task id begins with",
        widget=forms.TextInput({"type": "search", "autocomplete": "off"}),
    )
    status = forms.ChoiceField(
        required=False, choices=[("", "any"), *((each, each) for each in STATUSES)]
    )
    agent = PatternField(label="Agent", attrs={"placeholder": "its id"})
    since = MomentField(required=False, label="Assigned since")
    until = MomentField(required=False, label="Assigned before")

    @property
    def wanted(self) -> Wanted:
        values = self.cleaned_data
        beginning = values["task"].rstrip("*")
        return Wanted(
            task=Pattern((), (beginning,)) if beginning else None,
            statuses=(values["status"],) if values["status"] else None,
            agent=Pattern.of(values["agent"]) if values["agent"] else None,
            since=values["since"],
            until=values["until"],
        )


@dataclass(frozen=True, slots=True)
class Found:
    """next: the `before` of the next page; None at the end."""

    tasks: list[TaskFound]
    next: int | None = None


@require_safe
@tenant_page
def task_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`?task=`, `?status=`, `?agent=`, `?since=` and `?until=` narrow, `?before=` goes on."""
    form = TaskFilters(request.GET, auto_id="filter-%s")
    before = parameters.position(request, "before")
    found = _found(principal.tenant, form, before) if form.is_valid() else Found([])
    context = {
        "title": "Tasks",
        "section": "tasks",
        "form": form,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "page": found,
        "is_first": before is None,
        "older": parameters.link(request, before=found.next) if found.next else None,
        "newest": parameters.link(request, before=None),
    }
    return render_page(request, principal, "tasks/list.html", context)


def _found(tenant: str, form: TaskFilters, before: int | None) -> Found:
    """A task that is asked for by its whole id comes first, however old it is."""
    wanted = form.wanted
    page = queries.page(tenant, wanted, limit=PAGE, before=before)
    tasks = page.tasks
    if wanted.task is not None and before is None:
        named = queries.find(tenant, form.cleaned_data["task"])
        if named is not None and named not in tasks and _fits(named, wanted):
            tasks = [named, *tasks]
    return Found(tasks, page.next)


def _fits(task: TaskFound, wanted: Wanted) -> bool:
    """But for times, which are of the log: who asks for these has a page of their own."""
    return (
        (wanted.statuses is None or task.status in wanted.statuses)
        and (wanted.agent is None or wanted.agent.fits(task.agent_id))
        and wanted.since is None
        and wanted.until is None
    )
