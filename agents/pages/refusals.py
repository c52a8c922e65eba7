"""How a refused command is worded on a page."""

from dataclasses import dataclass

from django import forms

from agents.claims import ClaimLost
from agents.command import AlreadyExists, RaceLost, VersionMismatch
from agents.domain.errors import InvalidCommand, RuleViolated
from events.confidential.seal import CannotSeal
from events.encoding import UnfitFact

BAD_VALUE, CONFLICT, UNAVAILABLE = 400, 409, 503
REFUSALS = (
    InvalidCommand,
    RuleViolated,
    AlreadyExists,
    VersionMismatch,
    RaceLost,
    ClaimLost,
    UnfitFact,
    CannotSeal,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was recorded, in one sentence or two, and the HTTP status that fits."""

    message: str
    status: int


def refusal_of(error: Exception, form: forms.Form) -> Refusal:
    """For an error of REFUSALS. A refused value is marked at its field of the form as well."""
    if isinstance(error, InvalidCommand):
        name, *inner = error.field.split("/")
        detail = f"{_place(inner)}{error.detail}"
        if name in form.fields:
            form.add_error(name, detail)
        return Refusal(f"{_label(form, name)}{', ' if inner else ' '}{detail}", BAD_VALUE)
    status = {UnfitFact: BAD_VALUE, CannotSeal: UNAVAILABLE}.get(type(error), CONFLICT)
    return Refusal(str(error), status)


def refusal_of_form(form: forms.Form) -> Refusal:
    """For a form that could not be read: its first fault."""
    name, errors = next(iter(form.errors.items()))
    detail = str(errors[0])
    # Our own details go on after the field's name; Django's are sentences of their own.
    joined = (
        f"{_label(form, name)} {detail}"
        if detail[:1].islower()
        else f"{_label(form, name)}: {detail}"
    )
    return Refusal(joined, BAD_VALUE)


def _place(inner: list[str]) -> str:
    """Where inside a field: ["0", "proficiency_level"] → "entry 1, proficiency level, "."""
    steps = [f"entry {int(step) + 1}" if step.isdigit() else step for step in inner]
    return "".join(f"{step}, " for step in steps).replace("_", " ")


def _label(form: forms.Form, name: str) -> str:
    return str(form[name].label) if name in form.fields else name
