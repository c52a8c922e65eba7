"""Query parameters: every one is known, stands once, and means one thing; else 400 names it."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from urllib.parse import parse_qsl

from django.http import HttpRequest

from events.api.problem import invalid, invalid_parameter
from events.moments import parse_rfc3339
from events.patterns import BadPattern, Pattern

MOST_PARAMETERS = 100
MOST_CHARACTERS = 1_000  # of one value
LARGEST = 2**63 - 1
DEFAULT_LIMIT, MAX_LIMIT = 100, 1_000

_WHOLE = re.compile(r"[0-9]{1,19}")


class Query:
    """Parameters, as of one request. `repeatable` may stand more than once."""

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]],
        known: Collection[str],
        repeatable: Collection[str] = (),
    ) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in known:
                allowed = f"It takes {', '.join(sorted(known))}." if known else "It takes none."
                raise invalid_parameter(name[:64], f"is no parameter of this path. {allowed}")
            if name in self._values and name not in repeatable:
                raise invalid_parameter(name, "stands more than once.")
            if not value or len(value) > MOST_CHARACTERS:
                raise invalid_parameter(name, f"must have 1 to {MOST_CHARACTERS} characters.")
            self._values.setdefault(name, []).append(value)

    @classmethod
    def of(
        cls, request: HttpRequest, known: Collection[str], repeatable: Collection[str] = ()
    ) -> "Query":
        """The request's. Raises Problem (400)."""
        return cls(_pairs(request.META.get("QUERY_STRING", "")), known, repeatable)

    def text(self, name: str) -> str | None:
        values = self._values.get(name)
        return values[0] if values else None

    def texts(self, name: str) -> list[str]:
        """All values of a repeatable parameter."""
        return self._values.get(name, [])

    def whole(self, name: str, *, least: int = 0, most: int = LARGEST) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
            raise invalid_parameter(name, f"must be a whole number, {least} to {most}.")
        return int(value)

    def limit(self) -> int:
        found = self.whole("limit", least=1, most=MAX_LIMIT)
        return DEFAULT_LIMIT if found is None else found

    def moment(self, name: str) -> datetime | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return parse_rfc3339(value)
        except ValueError as error:
            hint = " In a query a + is written %2B." if " " in value else ""
            raise invalid_parameter(name, f"{error}{hint}") from None

    def one_of(self, name: str, allowed: Sequence[str]) -> list[str] | None:
        """Alternatives between commas, each one of `allowed`."""
        value = self.text(name)
        if value is None:
            return None
        wanted = value.split(",")
        for each in wanted:
            if each not in allowed:
                raise invalid_parameter(name, f"must be one or more of {', '.join(allowed)}.")
        return wanted

    def pattern(self, name: str) -> Pattern | None:
        value = self.text(name)
        return None if value is None else pattern_of(name, value)

    def patterns(self, name: str) -> list[Pattern]:
        return [pattern_of(name, value) for value in self.texts(name)]


def pattern_of(name: str, value: str) -> Pattern:
    try:
        return Pattern.of(value)
    except BadPattern as error:
        raise invalid_parameter(name, str(error)) from None


def _pairs(raw: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            raw, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
        for pair in pairs:
            "".join(pair).encode()
    except UnicodeError:
        raise invalid("The query is not UTF-8. Send it percent-encoded as UTF-8.") from None
    except ValueError:
        raise invalid(f"The query has more than {MOST_PARAMETERS} parameters.") from None
    if any("\0" in part for pair in pairs for part in pair):
        raise invalid("The query holds a NUL character.")
    return pairs
