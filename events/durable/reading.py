"""The next events that a subscription wants, and how far the log was looked at for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from events.bus import Subscription
from events.log import cursor, read
from events.log.cursor import Position
from events.log.read import Told
from events.models import Event

SMALL = 32  # events that are about to come: it is not worth while to look further
LOOKED_AT = 2_000  # the most that one page passes over


@dataclass(frozen=True, slots=True)
class Page:
    """events: those that are wanted, in order. end: the last event that was looked at."""

    events: Sequence[Told]
    end: Position


def following(
    subscription: Subscription, tenant: str, position: Position, *, most: int, behind: int
) -> Page | None:
    """What comes after the position, at most `most` wanted events; None at the log's end.

    behind: how many events are about to come, as far as is known. Raises NotInTheLog, LogDamaged.
    """
    limit = SMALL if behind <= SMALL else most if subscription.wants_everything else LOOKED_AT
    outline = cursor.outline(tenant, position, limit)
    if not outline:
        return None
    wanted = [place for place in outline if subscription.pattern.fits(place.type)]
    end = outline[-1]
    if len(wanted) > most:
        wanted = wanted[:most]
        end = wanted[-1]
    return Page(_read(subscription, tenant, wanted), Position(end.seq, end.hash))


def _read(
    subscription: Subscription, tenant: str, wanted: Sequence[read.Outlined]
) -> Sequence[Told]:
    if not wanted:
        return ()
    events = Event.objects.filter(
        tenant=tenant, seq__gte=wanted[0].seq, seq__lte=wanted[-1].seq
    ).order_by("seq")
    if not subscription.wants_everything:
        events = events.filter(type__in={place.type for place in wanted})
    return list(read.told(events))


def of_stream(
    subscription: Subscription,
    tenant: str,
    stream: tuple[str, str],
    *,
    from_version: int,
    to_seq: int,
    most: int,
) -> Sequence[Told]:
    """The wanted events of one stream from a version on, none beyond `to_seq`, at most `most`."""
    stream_type, stream_id = stream
    events = Event.objects.filter(
        tenant=tenant,
        stream_type=stream_type,
        stream_id=stream_id,
        version__gte=from_version,
        seq__lte=to_seq,
    ).order_by("version")
    if not subscription.wants_everything:
        events = events.filter(subscription.pattern.condition("type"))
    return list(read.told(events[:most]))
