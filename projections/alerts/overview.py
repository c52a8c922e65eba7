"""What stands against a tenant now, in short: for whoever looks at everything at once."""

from dataclasses import dataclass

from projections.alerts.models import UNRESOLVED, Alert

COUNTED = 100


@dataclass(frozen=True, slots=True)
class Unresolved:
    """newest: of those that nobody has acknowledged first, then by age, the newest first. number:
    how many there are, of the COUNTED newest; there are more where `has_more`."""

    newest: list[Alert]
    number: int
    has_more: bool


def unresolved(tenant: str, *, shown: int) -> Unresolved:
    """One query, however many there are."""
    columns = ("id", "tenant", "rule", "subject", "state", "detail", "recurrences", "opened_at")
    found = Alert.objects.filter(UNRESOLVED, tenant=tenant).only(*columns).order_by("-id")
    alerts = list(found[: COUNTED + 1])
    counted = alerts[:COUNTED]
    # "acknowledged" is before "open"; sorting keeps the newest first within each.
    ordered = sorted(counted, key=lambda alert: alert.state, reverse=True)
    return Unresolved(ordered[:shown], len(counted), len(alerts) > COUNTED)
