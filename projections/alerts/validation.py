"""What a rule may say. Each refusal names its field, and what to write there."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from events import registry
from events.patterns import BadPattern, Pattern
from events.tenants import Refused
from projections.alerts.models import NAME_LENGTH, Kind
from projections.alerts.rules import Rule
from projections.outbound.post import BadUrl, Outbound

NAME_PATTERN = f"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LENGTH - 1}}}"
NAME = re.compile(rf"\A{NAME_PATTERN}\Z")
EVENTS_LENGTH = 1_000
MOST_TAGS = 20
TAG_LENGTH = 256
MOST_TARGETS = 10
EMAIL_LENGTH = 254
MOST_MINUTES = 24 * 60
MOST_TASKS = 10_000
TEXT_LENGTH = 1_000


def check_rule(rule: Rule, *, events_stood: bool = False) -> None:
    """Raises Refused at the first field that cannot be meant so.

    events_stood: they are as they were; a built-in rule may name what this release does not know.
    """
    if not NAME.match(rule.name):
        raise Refused(
            f"A rule's name has 1 to {NAME_LENGTH} letters, digits, '.', '_' and '-', the first of "
            f"them a letter or a digit.",
            field="name",
        )
    if rule.kind is Kind.EVENT:
        _check_numbers_absent(rule)
        if not events_stood:
            _check_events(rule)
    else:
        _check_rate(rule)
    _check_whole("minimum_tasks", rule.minimum_tasks, MOST_TASKS)
    if not isinstance(rule.enabled, bool):
        raise Refused("enabled is true or false.", field="enabled")
    _check_list("agent_tags", rule.agent_tags, MOST_TAGS)
    for tag in rule.agent_tags:
        if not 1 <= len(tag) <= TAG_LENGTH or not tag.isprintable():
            raise Refused(f"A tag has 1 to {TAG_LENGTH} printable characters.", field="agent_tags")
    _check_emails(rule.emails)
    _check_webhooks(rule.webhooks)


def kind_of(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise Refused(
            f"A rule's kind is one of {', '.join(Kind.values)}, not {text!r}.", field="kind"
        ) from None


def check_text(field: str, text: str) -> str:
    """What a person says to an alert, as it will be kept. Raises Refused."""
    unfit = len(text) > TEXT_LENGTH or "\0" in text
    if unfit or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(
            f"{field} has at most {TEXT_LENGTH:,} characters of Unicode, and no NUL.", field=field
        )
    return text.strip()


def _check_numbers_absent(rule: Rule) -> None:
    if rule.threshold is not None or rule.minutes is not None:
        raise Refused(
            "Only a rule of the kind completion_rate has threshold and minutes.",
            field="threshold" if rule.threshold is not None else "minutes",
        )


def _check_events(rule: Rule) -> None:
    if len(rule.events) > EVENTS_LENGTH:
        raise Refused(f"events has at most {EVENTS_LENGTH:,} characters.", field="events")
    for each in rule.events.split(","):
        try:
            if any(map(Pattern.of(each).fits, registry.types())):
                continue
        except BadPattern:
            pass
        raise Refused(
            f"No event type matches {each[:80]!r}. events names types, or beginnings of types that "
            f"end in *, with commas between them: AgentHealthCheckFailedEvent,AgentTaskFailed*",
            field="events",
        )


def _check_rate(rule: Rule) -> None:
    if rule.events:
        raise Refused("A rule of the kind completion_rate names no events.", field="events")
    if not _is_number(rule.threshold) or not 0 < rule.threshold <= 1:  # type: ignore[operator]
        raise Refused(
            "threshold is the ratio of completed tasks below which an alert opens: above 0, at "
            "most 1.",
            field="threshold",
        )
    _check_whole("minutes", rule.minutes, MOST_MINUTES)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_whole(field: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Refused(f"{field} is a whole number from 1 to {most:,}.", field=field)


def _check_list(field: str, values: Sequence[str], most: int) -> None:
    if len(values) > most or len(set(values)) < len(values):
        raise Refused(f"{field} has at most {most} entries, each once.", field=field)


def _check_emails(addresses: Sequence[str]) -> None:
    _check_list("emails", addresses, MOST_TARGETS)
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            fits = False
        else:
            fits = len(address) <= EMAIL_LENGTH and address.isascii() and address.isprintable()
        if not fits:
            raise Refused(f"{address[:80]!r} is no e-mail address.", field="emails")


def _check_webhooks(urls: Iterable[str]) -> None:
    _check_list("webhooks", urls := tuple(urls), MOST_TARGETS)
    for url in urls:
        try:
            Outbound().check(url)
        except BadUrl as wrong:
            raise Refused(f"A webhook's URL {wrong}", field="webhooks") from None
