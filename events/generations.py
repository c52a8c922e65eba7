"""Which rows of a read model count: a rebuild fills another generation beside the live one.

live(TaskRow, "tasks", "acme")   the queryset of the rows that count now
"""

from typing import TypeVar

from django.db.models import Model, QuerySet, Subquery
from django.db.models.functions import Coalesce

from events.models import SubscriptionCheckpoint

FIRST_GENERATION = 1
M = TypeVar("M", bound=Model)


def live(model: type[M], projection: str, tenant: str) -> QuerySet[M]:
    """The rows of a read model's table that count now, of one tenant: one query, whatever a rebuild
    does beside it."""
    # It names the tenant once more, and so is asked once. One that took it from the row would be
    # asked for each row, and no index that begins with tenant and generation would be used.
    generation = SubscriptionCheckpoint.objects.filter(
        tenant=tenant, subscription=projection
    ).values("generation")
    return model._default_manager.filter(  # noqa: SLF001 -- documented
        tenant=tenant, generation=Coalesce(Subquery(generation[:1]), FIRST_GENERATION)
    )
