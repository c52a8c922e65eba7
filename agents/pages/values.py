"""How a person types what has parts: tags with commas, requirements a line each."""

from django.core.exceptions import ValidationError

from agents.domain.routing import Requirement

MAX_DIGITS = 9


def tags_of(text: str) -> list[str]:
    return [tag for part in text.split(",") if (tag := part.strip())]


def requirements_of(text: str) -> list[Requirement]:
    """`translation` or `translation 4`, a line each. Raises ValidationError that names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match line.split():
            case []:
                continue
            case [name]:
                found.append(Requirement(name))
            case [name, level] if _is_number(level):
                found.append(Requirement(name, int(level)))
            case _:
                raise ValidationError(
                    f"needs a name, and perhaps the least level, in line {number}, such as: "
                    "translation 4"
                )
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
