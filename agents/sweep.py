"""Letting time pass: ended pauses, outages and lost tasks are recorded soon after they are due."""

import logging
import random
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from time import monotonic

from django.db import DatabaseError, connection
from django.db.models import Q

from agents import mass_loss, services
from agents.command import RaceLost
from agents.domain.state import Health, Intent
from agents.models import CurrentAgent
from events.facts import utc_now
from events.log.errors import AppendRefused
from events.log.proposal import Context

logger = logging.getLogger(__name__)

BY = Context(actor="system:health")
EVERY_SECONDS = 5.0
AT_ONCE = 100  # agents of one tenant, before it is the next tenant's turn
SECONDS = 2.0  # a sweep that finds more to do leaves it to the next one, and its worker can stop


def let_time_pass(now: datetime | None = None) -> int:
    """Let time pass for the agents of all tenants; returns of how many something was recorded.

    One tenant's trouble is logged and stops no other's. Safe to run twice at once.
    """
    now = now or utc_now()
    until = monotonic() + SECONDS
    turns = deque((tenant, _turns(tenant, now)) for tenant in _tenants(now))
    recorded = 0
    while turns and monotonic() < until:
        tenant, turn = turns.popleft()
        try:
            recorded += next(turn)
        except StopIteration:
            continue
        except Exception:
            logger.exception("The time of %s does not pass; the next sweep tries again.", tenant)
            connection.close_if_unusable_or_obsolete()
            continue
        turns.append((tenant, turn))
    return recorded


def _tenants(now: datetime) -> list[str]:
    """Those with something to do, in any order: who comes last today may not always be last."""
    due = CurrentAgent.objects.across_tenants().filter(due_at__lte=now)
    found = {*due.values_list("tenant_id", flat=True).distinct(), *mass_loss.tenants_with_one()}
    return random.sample(sorted(found), len(found))


def _turns(tenant: str, now: datetime) -> Iterator[int]:
    """One batch of the tenant's due agents at a time; of how many something was recorded."""
    hearing = mass_loss.judge(tenant, now, BY)
    due = CurrentAgent.objects.filter(tenant=tenant, due_at__lte=now)
    if hearing.is_deaf:
        # Time can still end a pause, and the task of an agent whose outage is known.
        due = due.filter(Q(intent=Intent.PAUSED.value) | Q(health=Health.UNHEALTHY.value))
    ids = due.order_by("agent_id").values_list("agent_id", flat=True)
    after = ""
    while batch := list(ids.filter(agent_id__gt=after)[:AT_ONCE]):
        yield sum(_passes(tenant, agent_id, now, hearing.heard_since) for agent_id in batch)
        after = batch[-1]


def _passes(tenant: str, agent_id: str, now: datetime, heard_since: datetime | None) -> bool:
    """Whether anything was recorded. One agent's trouble is logged and stops no other's."""
    try:
        outcome = services.let_time_pass(
            tenant=tenant, agent_id=agent_id, by=BY, now=now, heard_since=heard_since
        )
    except DatabaseError:
        raise  # the next agent would fare no better
    except (AppendRefused, RaceLost) as error:  # its words say what to do
        logger.warning("The time of %s/%s does not pass: %s", tenant, agent_id, error)
        return False
    except Exception:
        logger.exception("The time of %s/%s does not pass.", tenant, agent_id)
        return False
    return bool(outcome.facts)
