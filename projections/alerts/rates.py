"""Rules about the completion rate: of the tasks that ended in the last minutes, how many were
completed.

The tasks are counted in the log itself: recorded_at never decreases in it, so the window is a range
of seqs that is found by halving.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from events.log import read
from events.log.places import seq_before
from projections.alerts import ended, standing, tags
from projections.alerts.models import Alert, AlertRule, Kind, State
from projections.alerts.rules import Rule
from projections.alerts.standing import Meanwhile

logger = logging.getLogger(__name__)

TENANT = ""  # the subject: a rate is the tenant's, or that of all its agents with the rule's tags


def sweep() -> int:
    """Look at every such rule of every tenant; how many alerts were opened or resolved."""
    now = timezone.now()
    rows = AlertRule.objects.across_tenants().filter(kind=Kind.COMPLETION_RATE, enabled=True)
    changed = 0
    for row in rows.order_by("tenant_id", "name"):
        try:
            changed += look(row.tenant_id, Rule.of(row), now)
        except Meanwhile:
            continue  # whoever was first has done it, or the next sweep does
        except Exception:
            logger.exception("The rule %s could not be looked at.", row)
    return changed


def look(tenant: str, rule: Rule, now: datetime) -> bool:
    """Open or resolve the rule's alert, as its tasks stand; whether anything changed.

    Tasks that ended before the newest alert was resolved do not count again: who resolves one is
    not told of the same tasks twice, and a rate about the threshold does not flap.
    """
    assert rule.threshold is not None  # noqa: S101 -- the database keeps it for this kind
    head = read.head(tenant)
    if head is None:
        return False
    last = standing.newest(tenant, rule.name, TENANT)
    stands = last is not None and last.state != State.RESOLVED
    since = seq_before(tenant, now - timedelta(minutes=rule.minutes or 0))
    if last is not None and last.resolved_seq is not None:
        since = max(since, last.resolved_seq)
    completed, in_all = _ended(tenant, rule, since, head.seq)
    if in_all < rule.minimum_tasks:
        return False  # too few to say that it is bad, and too few to say that it is good again
    is_low = completed / in_all < rule.threshold
    words = (
        f"{completed:,} of {in_all:,} tasks were completed in the last {rule.minutes} minutes, "
        f"{completed / in_all:.1%}; the rule asks for {rule.threshold:.1%}."
    )
    if is_low and not stands:
        return _open(tenant, rule, words, now, head.seq)
    if stands and not is_low:
        assert last is not None  # noqa: S101 -- it stands
        standing.resolve(last, rule, reason=words, at=now, seq=head.seq)
        return True
    return False


def _open(tenant: str, rule: Rule, words: str, now: datetime, seq: int) -> bool:
    with transaction.atomic():
        # Held, so that no alert is opened by a rule that is being disabled or deleted: whoever
        # hears of that closes what stands by then.
        held = AlertRule.objects.select_for_update().filter(
            tenant=tenant, name=rule.name, enabled=True, kind=Kind.COMPLETION_RATE
        )
        if held.first() is None:
            return False
        standing.open_alert(
            rule,
            Alert(
                tenant_id=tenant,
                rule=rule.name,
                subject=TENANT,
                detail=words,
                opened_at=now,
                opened_seq=seq,
                last_at=now,
                last_seq=seq,
            ),
        )
    return True


def _ended(tenant: str, rule: Rule, since: int, until: int) -> tuple[int, int]:
    """How many tasks were completed, and how many ended, after seq `since`."""
    by_agent = ended.between(tenant, since, until)
    if rule.agent_tags:
        wanted = set(rule.agent_tags)
        tagged = tags.now(tenant, by_agent)
        by_agent = {each: by_agent[each] for each, has in tagged.items() if wanted <= set(has)}
    return (
        sum(each.completed for each in by_agent.values()),
        sum(each.in_all for each in by_agent.values()),
    )
