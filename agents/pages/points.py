"""A point in an agent's past as an address names it: a version, a seq of the log, or a moment.

?version=12    ?seq=40312    ?at=2026-11-23T14:02    &compare=3    &compare=2026-11-23T14:02
"""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.http import HttpRequest

from agents.current import STREAM, Loaded
from events.facts import utc_now
from events.log import places, read
from events.pages import parameters
from events.pages.fields import MomentField

NAMES = ("version", "seq", "at")
_moment = MomentField(label="Moment")


class Nowhere(Exception):
    """The agent was not to be found there; `why` says so to the person who asked.

    field: the parameter that named the place. text: as it was given.
    """

    def __init__(self, field: str, text: str, why: str) -> None:
        super().__init__(why)
        self.field = field
        self.text = text
        self.why = why


def asked(request: HttpRequest, tenant: str, newest: Loaded) -> int:
    """The version that the address asks for, the newest where it names none. Raises Nowhere."""
    given = {name: text for name in NAMES if (text := parameters.text(request, name))}
    if not given:
        return newest.version
    name, text = next(iter(given.items()))
    if len(given) > 1:
        raise Nowhere(name, text, f"Name one place: {' and '.join(given)} are two.")
    if name == "version":
        return _version(name, text, newest)
    if name == "seq":
        return _at_seq(name, text, tenant, newest)
    return _at_moment(name, text, tenant, newest)


def compared(request: HttpRequest, tenant: str, newest: Loaded) -> int | None:
    """The version to compare with, told by its number or by a moment. Raises Nowhere."""
    text = parameters.text(request, "compare")
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return _version("compare", text, newest)
    return _at_moment("compare", text, tenant, newest)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= parameters.MAX_DIGITS):
        raise Nowhere(name, text, "That is no number. Versions are counted 1, 2, 3 …")
    return int(text)


def _version(name: str, text: str, newest: Loaded) -> int:
    version = _number(name, text)
    if version == 0:
        raise Nowhere(name, text, "Version 0 is before the agent was created. Versions begin at 1.")
    if version > newest.version:
        raise Nowhere(
            name,
            text,
            f"The agent has not reached version {version:,}: its newest is {newest.version:,}.",
        )
    return version


def _at_seq(name: str, text: str, tenant: str, newest: Loaded) -> int:
    seq = _number(name, text)
    head = read.head(tenant)
    end = head.seq if head else 0
    if seq > end:
        raise Nowhere(name, text, f"The log has not reached seq {seq:,}: it ends at {end:,}.")
    return _existing(name, text, _version_at(tenant, newest, seq))


def _at_moment(name: str, text: str, tenant: str, newest: Loaded) -> int:
    moment = _moment_of(name, text)
    if moment > utc_now():
        raise Nowhere(name, text, "That moment is still to come.")
    return _existing(name, text, _version_at(tenant, newest, places.seq_at(tenant, moment)))


def _moment_of(name: str, text: str) -> datetime:
    try:
        found: datetime = _moment.clean(text)
    except ValidationError:
        detail = "That is no moment. Write it like 2026-11-23 14:02 or 2026-11-23T14:02:05Z."
        raise Nowhere(name, text, detail) from None
    return found


def _version_at(tenant: str, newest: Loaded, seq: int) -> int:
    if seq >= newest.seq:
        return newest.version
    return places.version_before(tenant, STREAM, newest.agent.agent_id, seq + 1)


def _existing(name: str, text: str, version: int) -> int:
    if version == 0:
        raise Nowhere(name, text, "The agent had not been created by then.")
    return version
