"""What a form asked for: done by one service, and said on the page that follows."""

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from events import tenants


def done(request: HttpRequest, form: forms.Form | None, act: Callable[[], str]) -> bool:
    """Whether the form could be read and the service did it; says so, or why not, on the page.

    act: does it and returns what to say of it; what it refuses stands beside its field too.
    """
    if form is not None and not form.is_valid():
        messages.error(request, "Nothing was recorded. Please correct what is marked below.")
        return False
    try:
        messages.success(request, act())
    except tenants.Refused as refused:
        messages.error(request, str(refused))
        if form is not None and refused.field in form.fields:
            form.add_error(refused.field, str(refused))
        return False
    return True
