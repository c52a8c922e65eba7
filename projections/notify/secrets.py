"""The secrets that posts are signed with, one for each URL of a tenant."""

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from projections.notify.models import WebhookSecret
from projections.outbound.signing import new_secret

OVERLAP = timedelta(hours=24)


def of(tenant: str, url: str) -> list[str]:
    """What signs now: the newest first, and for a day the one it replaced."""
    row = WebhookSecret.objects.filter(tenant=tenant, url=url).first()
    if row is None:
        return []
    is_valid = row.previous_until is not None and row.previous_until > timezone.now()
    return [row.secret, *([row.previous] if row.previous and is_valid else [])]


def make(tenant: str, urls: Iterable[str]) -> dict[str, str]:
    """Secrets for those of the URLs that have none: by URL, to be shown this once."""
    made = {}
    for url in urls:
        row, is_new = WebhookSecret.objects.get_or_create(
            tenant_id=tenant, url=url, defaults={"secret": new_secret()}
        )
        if is_new:
            made[url] = row.secret
    return made


def rotate(tenant: str, url: str) -> str | None:
    """A new secret for the URL; the old one signs beside it for a day. None: there is none.

    To be called within a transaction, which holds the row.
    """
    standing = WebhookSecret.objects.filter(tenant=tenant, url=url)
    row = standing.select_for_update().first()
    if row is None:
        return None
    fresh = new_secret()
    standing.update(secret=fresh, previous=row.secret, previous_until=timezone.now() + OVERLAP)
    return fresh


def forget(tenant: str, url: str) -> None:
    WebhookSecret.objects.filter(tenant=tenant, url=url).delete()
