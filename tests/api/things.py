"""What stands in acme for the routes to name."""

import uuid
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from events import tenants
from events.models import HeldStream, Role, SavedView, SubscriptionCheckpoint, Verification
from projections.alerts import rule_services
from projections.alerts.rules import Rule
from tests.alerts.fleet import stand
from tests.api.conftest import SOMEBODY, People, body_of
from tests.api.routes import HOOK, Route

NO_UUID = "00000000-0000-7000-8000-000000000000"
LEDGER = "tests.ledger"


@dataclass
class Things:
    """What stands in acme."""

    agent: str
    task: str
    event: str
    member: str
    token: str
    subscription: str
    stream: str
    alert: str
    rule: str
    verification: str
    view: str

    def path(self, route: Route) -> str:
        return route.path.format(**vars(self))


ABSENT = Things(
    agent="nobody-here",
    task="t-none",
    event=NO_UUID,
    member="nobody-here",
    token=NO_UUID,
    subscription="nothing.here",
    stream="nobody",
    alert=NO_UUID,
    rule="nothing",
    verification=NO_UUID,
    view=NO_UUID,
)


def things_of(people: People) -> Things:
    agent = people.bob.busy("t-1")
    person = User.objects.create_user(f"dave-{uuid.uuid4().hex[:8]}")
    tenants.add_member(people.alice.tenant, person.username, Role.AUDITOR, by=SOMEBODY)
    token, _ = tenants.issue_token(people.alice.tenant, "spare", Role.AUDITOR, by=SOMEBODY)
    event = body_of(people.alice.get(f"/agents/{agent}/events"))["items"][0]["id"]
    park(people.alice.tenant, agent)
    return Things(
        agent=agent,
        task="t-1",
        event=event,
        member=person.username,
        token=str(token.id),
        subscription=LEDGER,
        stream=agent,
        alert=alert(people.alice.tenant, agent),
        rule=rule(people.alice.tenant),
        verification=verification(people.alice.tenant),
        view=view(people.alice.tenant),
    )


def alert(tenant: str, agent_id: str) -> str:
    """The id of an alert that stands."""
    return str(stand(tenant, subject=agent_id).id)


def rule(tenant: str) -> str:
    """The name of a rule of the tenant's own."""
    made = Rule(name="mine", events="AgentPausedEvent", webhooks=(HOOK,))
    rule_services.create_rule(tenant=tenant, rule=made, by=SOMEBODY)
    return made.name


def verification(tenant: str) -> str:
    """The id of a verification that has been asked for."""
    return str(Verification.objects.create(tenant_id=tenant, head=0, requested_by="user:x").id)


def view(tenant: str) -> str:
    """The id of a saved view."""
    made = SavedView.objects.create(tenant_id=tenant, name="Mine", created_by="user:x")
    return str(made.id)


def park(tenant: str, *stream_ids: str, stream_type: str = "agent") -> None:
    """As when the subscription LEDGER could not handle event 1 of these streams."""
    now = timezone.now()
    SubscriptionCheckpoint.objects.get_or_create(
        tenant_id=tenant, subscription=LEDGER, defaults={"seq": 0, "hash": b"", "updated_at": now}
    )
    HeldStream.objects.bulk_create(
        HeldStream(
            tenant_id=tenant,
            subscription=LEDGER,
            stream_type=stream_type,
            stream_id=stream_id,
            version=1,
            seq=1,
            attempts=6,
            last_error="RuntimeError: no",
            parked_at=now,
        )
        for stream_id in stream_ids
    )
