"""How a person types what has parts: tags with commas, capabilities a line each."""

from django.core.exceptions import ValidationError

from events.vocabulary import Capability

WORDS = 2  # of a line: name and level
MAX_DIGITS = 9


def tags_of(text: str) -> list[str]:
    return [tag for part in text.split(",") if (tag := part.strip())]


def capabilities_of(text: str) -> list[Capability]:
    """`translation 4`, a line each. Raises ValidationError that names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        level = words[-1]
        is_number = level.isascii() and level.isdigit() and len(level) <= MAX_DIGITS
        if len(words) != WORDS or not is_number:
            raise ValidationError(
                f"needs a name and a level in line {number}, such as: translation 4"
            )
        found.append(Capability(words[0], int(level)))
    return found
