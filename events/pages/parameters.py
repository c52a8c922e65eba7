"""What an address may hold after its `?`: read leniently, since a person reads the answer.

A value that cannot mean anything is treated as absent. None of them reaches the database as it is.
"""

from django.http import HttpRequest

MAX_POSITION = 2**63 - 1
MAX_TEXT = 300
MAX_DIGITS = 19


def text(request: HttpRequest, name: str) -> str:
    """The parameter without NUL, which no database would compare, and not longer than a name."""
    return request.GET.get(name, "").replace("\0", "").strip()[:MAX_TEXT]


def position(request: HttpRequest, name: str) -> int | None:
    """A seq or version, 1 to 2^63 - 1; None for anything else."""
    given = request.GET.get(name, "")
    if not (given.isascii() and given.isdigit() and len(given) <= MAX_DIGITS):
        return None
    number = int(given)
    return number if 1 <= number <= MAX_POSITION else None


def link(request: HttpRequest, **changes: str | int | None) -> str:
    """The same page with other parameters: `?…`; None takes one out."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return "?" + query.urlencode()
