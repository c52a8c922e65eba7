"""A tenant with its people, its agents and their deeds, for the tests of the stream."""

from dataclasses import dataclass, field
from datetime import datetime

from agents import services
from events.log import read
from events.log.proposal import Context
from events.models import Event, Role, Token
from events.tenants import create_tenant, issue_token
from events.vocabulary import Capability

ORIGIN = '{"address":"192.0.2.7"}'
BY = Context(actor="user:alice", origin=ORIGIN)


@dataclass
class Fleet:
    """One tenant. `ids` are the ids of its whole log on the wire."""

    tenant: str
    agents: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, tenant: str, *agents: str) -> "Fleet":
        create_tenant(tenant)
        fleet = cls(tenant)
        for agent_id in agents:
            fleet.enlist(agent_id)
        return fleet

    def enlist(self, agent_id: str) -> None:
        """Three events: created, activated, status changed."""
        skills = [Capability(name="reading", proficiency_level=3)]
        services.create_agent(
            tenant=self.tenant, agent_id=agent_id, name=agent_id, capabilities=skills, by=BY
        )
        services.activate_agent(tenant=self.tenant, agent_id=agent_id, by=BY)
        self.agents.append(agent_id)

    def beat(self, times: int = 1, agent_id: str | None = None) -> None:
        """One event each."""
        for _ in range(times):
            services.record_heartbeat(
                tenant=self.tenant,
                agent_id=agent_id or self.agents[0],
                success_rate=1,
                response_time_ms=5,
                cpu_usage_percent=10,
                memory_usage_percent=10,
                by=BY,
            )

    def token(
        self,
        role: str = Role.ADMIN,
        agent_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        return self.issue(role, agent_id, expires_at)[1]

    def issue(
        self,
        role: str = Role.ADMIN,
        agent_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[Token, str]:
        """One event."""
        return issue_token(self.tenant, "ci", role, agent_id=agent_id, expires_at=expires_at, by=BY)

    @property
    def head(self) -> int:
        head = read.head(self.tenant)
        assert head is not None
        return head.seq

    @property
    def ids(self) -> list[str]:
        rows = Event.objects.filter(tenant=self.tenant).order_by("seq")
        return [f"{row.seq}-{bytes(row.hash).hex()[:8]}" for row in rows]
