"""The reaction that opens and resolves alerts: every event of every log, at least once, in the
order of each agent.

An event that concerns nobody costs two look-ups and no query; heartbeats are such events.
"""

from contextlib import suppress

from django.db.models import Q

from events.facts import Envelope, Fact
from events.vocabulary import AgentCreatedEvent, AgentDetailsChangedEvent
from projections.alerts import standing, tags, troubles, watch
from projections.alerts.models import UNRESOLVED, Alert, Kind
from projections.alerts.rules import Rule
from projections.alerts.standing import Meanwhile
from projections.alerts.watch import Watch

TRIES = 10


def hear(event: Fact) -> None:
    """Open, count or resolve what the event gives reason to. Again changes nothing."""
    place = event.envelope
    assert place is not None  # noqa: S101 -- an event of a log has one
    watched = watch.at(place)
    if isinstance(event, AgentCreatedEvent | AgentDetailsChangedEvent):
        tags.keep(event, place)
    if place.type in watched.types:
        _take_in(event, place, watched)
    if place.type in watch.RULE_FACTS:
        _close_what_no_rule_watches(place, watched)


def _take_in(event: Fact, place: Envelope, watched: Watch) -> None:
    openers = watched.openers.get(place.type, []) if troubles.is_trouble(event) else []
    if not openers and not troubles.ended_by(event):
        return
    concerned = {rule.name for rule in openers if _covers(rule, place)}
    subject = troubles.subject_of(event)
    alerts = standing.unresolved(place.tenant, subject)
    for name in sorted(concerned | alerts.keys()):
        alert = alerts.get(name)
        for _ in range(TRIES):
            try:
                _settle(event, place, watched.rules.get(name), alert, counts=name in concerned)
                break
            except Meanwhile:
                alert = standing.unresolved(place.tenant, subject).get(name)
        else:
            raise Meanwhile  # the bus tries the event again later


def _covers(rule: Rule, place: Envelope) -> bool:
    """Whether the rule is about the event's agent."""
    if not rule.agent_tags:
        return True
    if place.stream_type != troubles.AGENT_STREAM:
        return False
    return set(rule.agent_tags) <= set(tags.at(place.tenant, place.stream_id, place.stream_version))


def _settle(
    event: Fact, place: Envelope, rule: Rule | None, alert: Alert | None, *, counts: bool
) -> None:
    """Bring one rule's alert of the event's subject to where the event leaves it."""
    if alert is None:
        if counts and rule is not None:
            _open(event, place, rule)
        return
    before = frozenset(alert.troubles)
    left = troubles.after(before, event, counts=counts)
    if alert.event_id is None or alert.last_seq >= place.seq or (not counts and left == before):
        return
    if left:
        lapse = troubles.lapse(left)
        standing.move(
            alert,
            troubles=sorted(left),
            recurrences=alert.recurrences + counts,
            last_at=place.recorded_at if counts else alert.last_at,
            last_seq=place.seq,
            lapses_at=place.recorded_at + lapse if lapse else None,
        )
    else:
        standing.resolve(
            alert,
            rule,
            reason=troubles.why_over(event),
            at=place.recorded_at,
            seq=place.seq,
            last_seq=place.seq,
        )


def _open(event: Fact, place: Envelope, rule: Rule) -> None:
    subject = troubles.subject_of(event)
    last = standing.newest(place.tenant, rule.name, subject)
    if last is not None and last.last_seq >= place.seq:
        return  # the event comes again, and its alert has been resolved since
    lapse = troubles.lapse(frozenset({place.type}))
    standing.open_alert(
        rule,
        Alert(
            tenant_id=place.tenant,
            rule=rule.name,
            subject=subject,
            troubles=[place.type],
            detail=troubles.in_words(event),
            opened_at=place.recorded_at,
            opened_seq=place.seq,
            event_id=place.event_id,
            last_at=place.recorded_at,
            last_seq=place.seq,
            lapses_at=place.recorded_at + lapse if lapse else None,
        ),
    )


def _close_what_no_rule_watches(place: Envelope, watched: Watch) -> None:
    """A rule was disabled or deleted, or made anew as another: nothing could end its alerts.

    Here and not where the person does it, because an event that was recorded before may still
    open one until the reaction has come as far as this fact.
    """
    names: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for rule in watched.rules.values():
        names[rule.kind].append(rule.name)
    watched_still = Q(rule__in=names[Kind.EVENT], event_id__isnull=False) | Q(
        rule__in=names[Kind.COMPLETION_RATE], event_id=None
    )
    for alert in Alert.objects.filter(UNRESOLVED, tenant=place.tenant).exclude(watched_still):
        with suppress(Meanwhile):  # a person was first
            standing.resolve(
                alert,
                None,
                reason="Its rule was disabled or deleted.",
                at=place.recorded_at,
                seq=place.seq,
            )
