"""The sweep that sends digests: several at once, each within seconds, and again until it is taken.

At least once: when a process dies between sending and noting, another sends the same message, with
the same id, once its hold is over. Two never send it at the same time: the hold is compare-and-set.
"""

import logging
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from events.metrics import instruments
from projections.notify import digests, secrets
from projections.notify.carriers import NotTaken, Webhooks, send_mail
from projections.notify.models import UNSETTLED, Channel, Digest, Notice
from projections.outbound.post import Outbound

logger = logging.getLogger(__name__)

AT_ONCE = 8
IN_A_SWEEP = 16
OF_ONE_TENANT = 4
HOLD = timedelta(minutes=5)
KEPT = timedelta(days=30)
FORGOTTEN_AT_ONCE = 500
# After each attempt that failed; after the last of them there is one more. Four hours in all.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 900, 1_800, 3_600, 7_200))
JITTER = 0.2


def sweep(webhooks: Webhooks | None = None, now: datetime | None = None) -> int:
    """Make and send what is due, in all tenants; how many digests were made or tried."""
    now = now or timezone.now()
    made = digests.make(now)
    tried = _send_due(now, webhooks or Webhooks(Outbound()))
    _forget(now - KEPT)
    return made + tried


def _forget(before: datetime) -> None:
    """What was settled and is older than that, some of it at a time."""
    old = Digest.objects.across_tenants().filter(made_at__lt=before).exclude(UNSETTLED)
    ids = list(old.order_by("made_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    if ids:
        with transaction.atomic():
            Notice.objects.across_tenants().filter(digest__in=ids).delete()
            Digest.objects.across_tenants().filter(pk__in=ids).delete()


def _send_due(now: datetime, webhooks: Webhooks) -> int:
    """Those with the fewest attempts first, and a few of each tenant: what is dead holds nobody
    up, however much of it somebody has."""
    due = Digest.objects.across_tenants().filter(UNSETTLED, next_try_at__lte=now)
    order = ("attempts", "next_try_at")
    place = Window(RowNumber(), partition_by="tenant_id", order_by=order)
    ranked = due.annotate(place=place).filter(place__lte=OF_ONE_TENANT)
    held = [digest for digest in ranked.order_by(*order)[:IN_A_SWEEP] if _hold(digest, now)]
    if not held:
        return 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notify") as pool:
        under_way: dict[Future[None], Digest] = {
            pool.submit(_carrier(digest, webhooks)): digest for digest in held
        }
        for sent in as_completed(under_way):
            _note(under_way[sent], sent.exception(), now)
    return len(held)


def _hold(digest: Digest, now: datetime) -> bool:
    """Whether it is ours to send, until the hold is over."""
    as_read = Digest.objects.filter(
        UNSETTLED, tenant=digest.tenant_id, pk=digest.pk, attempts=digest.attempts
    ).filter(next_try_at=digest.next_try_at)
    if not as_read.update(attempts=digest.attempts + 1, next_try_at=now + HOLD):
        return False
    digest.attempts += 1
    digest.next_try_at = now + HOLD
    return True


def _carrier(digest: Digest, webhooks: Webhooks) -> Callable[[], None]:
    if digest.channel == Channel.EMAIL:
        return partial(send_mail, digest)
    return partial(webhooks.send, digest, secrets.of(digest.tenant_id, digest.address))


def _note(digest: Digest, error: BaseException | None, now: datetime) -> None:
    """Nothing when the hold was lost, or the target was forgotten, meanwhile."""
    ours = Digest.objects.filter(
        UNSETTLED, tenant=digest.tenant_id, pk=digest.pk, attempts=digest.attempts
    )
    if error is None:
        ours.update(sent_at=now, last_error=None)
        _count(digest, "sent")
        return
    if not isinstance(error, NotTaken):
        logger.error("The digest %s could not be sent.", digest, exc_info=error)
    words = str(error) if isinstance(error, NotTaken) else "It could not be sent: see the log."
    if digest.attempts > len(WAITS):
        logger.warning("The digest %s was given up: %s", digest, words)
        ours.update(given_up_at=now, last_error=words)
        _count(digest, "given_up")
        return
    wait = WAITS[digest.attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    ours.update(next_try_at=now + wait, last_error=words)
    _count(digest, "failed")


def _count(digest: Digest, outcome: str) -> None:
    instruments.deliveries.labels(f"notification_{digest.channel}", outcome).inc()
