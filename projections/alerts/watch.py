"""What a tenant's rules look for, kept so that an event that concerns none costs nothing.

It is never out of date, though it is not read again: a change of a rule is a fact of the same log,
written with the rule, and the reaction hears every event. So what was read when event n was heard
holds for n + 1, unless that is such a fact; where events are missing in between (another process
had the lease), it is read again.
"""

from dataclasses import dataclass

from events.facts import Envelope
from projections.alerts import rules
from projections.alerts.models import UNRESOLVED, Alert
from projections.alerts.rules import Rule
from projections.alerts.troubles import ending_types

RULE_FACTS = frozenset({"AlertRuleChanged", "AlertRuleDeleted"})


@dataclass(slots=True)
class Watch:
    """rules: those that count, by name. openers: which of them each type of event is trouble for.
    types: of the events that have to be looked at. heard: the last seq, so that a gap is seen."""

    rules: dict[str, Rule]
    openers: dict[str, list[Rule]]
    types: frozenset[str]
    heard: int


_watches: dict[str, Watch] = {}


def at(place: Envelope) -> Watch:
    """What is looked for when this event is heard."""
    watch = _watches.get(place.tenant)
    if watch is None or place.seq > watch.heard + 1 or place.type in RULE_FACTS:
        # Into the dict before it is used: whoever holds the older one changes that one alone.
        watch = _watches[place.tenant] = _read(place.tenant, place.seq)
    watch.heard = max(watch.heard, place.seq)
    return watch


def _read(tenant: str, seq: int) -> Watch:
    enabled = {name: rule for name, rule in rules.all_of(tenant).items() if rule.enabled}
    openers: dict[str, list[Rule]] = {}
    for rule in enabled.values():
        for kind in rule.types:
            openers.setdefault(kind, []).append(rule)
    # Of a rule that has been changed, alerts may stand for what it no longer names.
    standing = Alert.objects.filter(UNRESOLVED, tenant=tenant, event_id__isnull=False)
    troubles = frozenset(openers).union(
        *(kinds for kinds in standing.values_list("troubles", flat=True).distinct())
    )
    return Watch(enabled, openers, frozenset(openers) | ending_types(troubles), seq)
