"""Trouble that no event ends (a failed sign-in, a termination) is over when no more of it comes."""

from django.utils import timezone

from events.log import read
from projections.alerts import rules, standing, troubles
from projections.alerts.models import UNRESOLVED, Alert
from projections.alerts.standing import Meanwhile

AT_ONCE = 500


def sweep() -> int:
    """Resolve what has lapsed, in all tenants; how many."""
    now = timezone.now()
    lapsed = Alert.objects.across_tenants().filter(UNRESOLVED, lapses_at__lte=now)
    resolved = 0
    for alert in lapsed.order_by("lapses_at")[:AT_ONCE]:
        head = read.head(alert.tenant_id)
        try:
            standing.resolve(
                alert,
                rules.find(alert.tenant_id, alert.rule),
                reason=f"No more of it for {troubles.QUIET.total_seconds() / 3600:.0f} hours.",
                at=now,
                seq=head.seq if head else alert.last_seq,
            )
        except Meanwhile:
            continue  # more came, or a person was first
        resolved += 1
    return resolved
