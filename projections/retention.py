"""The sweep that forgets what is derived from the log and was to be kept for a time only.

It works in small transactions and for a while, and goes on the next time. The log is not its
business.
"""

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from events.models import Tenant
from events.tenant_settings import STATISTICS
from projections.alerts import forgetting
from projections.analytics import keeping
from projections.analytics.models import StatisticsKept

EVERY_SECONDS = 60
FIELDS = (*STATISTICS, "ended_alerts_days")
MOST = 20_000  # rows of each kind, of one tenant, in one run


def sweep(most: int = MOST) -> int:
    """Delete what is too old, in all tenants; how many rows."""
    now = timezone.now()
    # Also where they are kept for ever again: what does not count any more has to go.
    counted = StatisticsKept.objects.across_tenants().filter(tenant=OuterRef("slug"))
    for_a_time = Q(*((f"{field}__isnull", False) for field in FIELDS), _connector=Q.OR)
    tenants = Tenant.objects.filter(for_a_time | Exists(counted)).order_by("slug")
    deleted = 0
    for slug in list(tenants.values_list("slug", flat=True)):
        keeping.move(slug, now)
        deleted += keeping.delete(slug, most) + forgetting.delete(slug, now, most)
    return deleted
