"""Whether the silence of a tenant's agents counts: a mass loss is suspected, confirmed, resolved.

    suspected   by the sweep, when more than a fifth of the healthy agents fell silent together
    confirmed   by a person: they are lost, and are recorded so
    resolved    by the sweep, when it is over, either way

Each is a fact on the tenant's own stream, and the row that says where it stands is written with it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from agents.domain import limits
from agents.domain.errors import InvalidCommand
from agents.domain.mass_loss import TOGETHER, Silence
from agents.domain.state import Health
from agents.models import CurrentAgent, MassLoss
from events import tenants
from events.facts import Fact, TenantFact, utc_now
from events.log.errors import RowRefused
from events.log.proposal import Context
from events.log.rows import How, Put
from events.models import Event
from events.tenant_facts import MassLossConfirmed, MassLossResolved, MassLossSuspected
from events.tenants import Refused

State = MassLoss.State
TRIES = 12
NAMED = 20  # silent agents that a suspicion names


@dataclass(frozen=True, slots=True)
class Hearing:
    """What silence proves. heard_since: nothing before it; None: all of it counts. is_deaf: a mass
    loss is suspected, so it proves nothing at all."""

    heard_since: datetime | None = None
    is_deaf: bool = False


def judge(tenant: str, now: datetime, by: Context) -> Hearing:
    """What silence proves at this moment. Records that a mass loss is suspected, or resolved."""
    for _ in range(TRIES):
        standing = find(tenant)
        fact = _verdict(standing, measure(tenant, now), tenant, now)
        if fact is None:
            return _hearing(standing, now)
        try:
            _record(tenant, standing, fact, by)
        except RowRefused:
            continue  # another worker was first
    return Hearing(now, is_deaf=True)  # nothing is lost by asking again in the next sweep


def confirm_mass_loss(
    *, tenant: str, reason: str, by: Context, now: datetime | None = None
) -> None:
    """A person says that the silent agents are lost: the next sweep records it.

    That holds until agents do not fall silent together any more. Raises Refused when no mass loss
    is suspected, or the reason is none.
    """
    try:
        limits.check_reason(reason)
    except InvalidCommand as error:
        raise Refused(str(error), field="reason") from error
    standing = find(tenant)
    if standing is None or standing.state != State.SUSPECTED:
        state = "is confirmed already" if is_open(standing) else "is not suspected"
        raise Refused(
            f"A mass loss {state} in {tenant}: there is nothing to confirm.",
            "rule_violated",
            rule="no_mass_loss_suspected",
        )
    try:
        _record(tenant, standing, MassLossConfirmed(reason, occurred_at=now or utc_now()), by)
    except RowRefused:
        raise Refused(
            f"The suspicion in {tenant} was resolved or confirmed at this moment. Look again.",
            "conflict",
        ) from None


def find(tenant: str) -> MassLoss | None:
    return MassLoss.objects.filter(tenant=tenant).first()


def is_open(standing: MassLoss | None) -> bool:
    return standing is not None and standing.state != State.RESOLVED


def tenants_with_one() -> list[str]:
    """The tenants where a mass loss is suspected or confirmed."""
    standing = MassLoss.objects.across_tenants().exclude(state=State.RESOLVED.value)
    return list(standing.values_list("tenant_id", flat=True))


def measure(tenant: str, now: datetime) -> Silence:
    """How many of the tenant's agents are silent. Looks at all of its current rows."""
    undecided = _undecided(now)
    fell_lately = Q(health=Health.UNHEALTHY.value, silent_at__gt=now - TOGETHER, silent_at__lte=now)
    seen = CurrentAgent.objects.filter(
        tenant=tenant, silent_at__isnull=False, last_seen__isnull=False
    )
    counts = seen.aggregate(
        healthy=Count("pk", filter=Q(health=Health.HEALTHY.value) | fell_lately),
        silent=Count("pk", filter=undecided | fell_lately),
        undecided=Count("pk", filter=undecided),
    )
    return Silence(**counts)


def recorded(tenant: str, last: int) -> QuerySet[Event]:
    """The facts that the row follows from, up to `last`, in order."""
    kinds = [each.wire_type() for each in (MassLossSuspected, MassLossConfirmed, MassLossResolved)]
    own = Event.objects.filter(tenant=tenant, stream_type=tenants.STREAM, stream_id=tenant)
    return own.filter(type__in=kinds, seq__lte=last).order_by("version")


def columns(before: str | None, fact: Fact) -> dict[str, Any]:
    """What the row says after the fact, apart from its seq; `before` is its state.

    After a suspicion that was none, silence counts anew: who was not heard yet has the time to beat
    again.
    """
    if isinstance(fact, MassLossResolved):
        since = fact.occurred_at if before == State.SUSPECTED else None
        return {"state": State.RESOLVED.value, "heard_since": since}
    state = State.CONFIRMED if isinstance(fact, MassLossConfirmed) else State.SUSPECTED
    return {"state": state.value, "heard_since": None}


def _undecided(now: datetime) -> Q:
    return Q(health=Health.HEALTHY.value, silent_at__lte=now)


def _verdict(
    standing: MassLoss | None, silence: Silence, tenant: str, now: datetime
) -> TenantFact | None:
    if is_open(standing):
        if silence.is_mass_loss:
            return None
        left = f"{silence.silent} of {silence.healthy} agents are silent now."
        return MassLossResolved(left, occurred_at=now)
    if not (silence.is_mass_loss and silence.undecided):
        return None
    agents = CurrentAgent.objects.filter(_undecided(now), tenant=tenant)
    first = agents.order_by("agent_id").values_list("agent_id", flat=True)[:NAMED]
    return MassLossSuspected(silence.silent, silence.healthy, tuple(first), occurred_at=now)


def _hearing(standing: MassLoss | None, now: datetime) -> Hearing:
    if standing is None:
        return Hearing()
    if standing.state == State.SUSPECTED:
        return Hearing(now, is_deaf=True)
    return Hearing(standing.heard_since)


def _record(tenant: str, standing: MassLoss | None, fact: TenantFact, by: Context) -> None:
    """Raises RowRefused when something else was recorded since `standing` was found."""
    key = {"tenant_id": tenant}
    values = columns(standing.state if standing else None, fact)
    if standing is None:
        row = Put(MassLoss, How.INSERT, key, values, "seq")
    else:
        row = Put(MassLoss, How.UPDATE, key, values, "seq", only_if={"seq": standing.seq})
    tenants.record(tenant, fact, by=by, rows=[row])
