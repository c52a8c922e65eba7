"""Agents as processes of their own, a task source, and what the log must say in the end."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agents import services
from agents.command import RaceLost
from agents.current import load
from agents.domain.errors import RuleViolated
from agents.models import CurrentAgent
from events.log import read
from events.log.proposal import Context
from events.models import Event
from events.tenants import issue_token
from events.vocabulary import AgentTaskCompletedEvent, AgentTaskFailedEvent
from tests.house.rooms import ROOT

BY = Context(actor="user:alice")


@dataclass
class Crew:
    """The agents of one tenant at the server of `url`. diary: where each work leaves a line."""

    tenant: str
    url: str
    env: dict[str, str]
    diary: Path
    seconds: float = 0.03
    running: "dict[str, subprocess.Popen[str]]" = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def enlist(self, agent_ids: Iterable[str]) -> None:
        for agent_id in agent_ids:
            name = f"{agent_id} itself"
            _, secret = issue_token(self.tenant, name, "agent", agent_id=agent_id, by=BY)
            self.tokens[agent_id] = secret
            self.start(agent_id)

    def start(self, agent_id: str) -> None:
        environment = self.env | {
            "API": f"{self.url}/api/v1/tenants/{self.tenant}",
            "TOKEN": self.tokens[agent_id],
        }
        command = ("-m", "tests.clients.agent", agent_id, str(self.diary), str(self.seconds))
        self.running[agent_id] = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self, agent_id: str) -> None:
        process = self.running.pop(agent_id)
        os.kill(process.pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=10)
        assert not errors, errors

    def go_home(self) -> None:
        for agent_id in list(self.running):
            self.kill(agent_id)

    def give(self, task_id: str) -> bool:
        """Whether an available agent took the task."""
        free = CurrentAgent.objects.filter(tenant=self.tenant, status="AVAILABLE")
        for agent_id in free.order_by("?").values_list("agent_id", flat=True):
            try:
                services.assign_task(
                    tenant=self.tenant, agent_id=agent_id, task_id=task_id, input=task_id, by=BY
                )
            except (RuleViolated, RaceLost):
                continue
            return True
        return False

    def has_ended_all(self) -> bool:
        agents = CurrentAgent.objects.filter(tenant=self.tenant).values_list("agent_id", flat=True)
        return all(load(self.tenant, each).agent.current_task_id is None for each in agents)

    def completions(self) -> Counter[str]:
        """How often the log says of which task that it was completed."""
        completed: Counter[str] = Counter()
        ends = ("AgentTaskCompletedEvent", "AgentTaskFailedEvent")
        for row in Event.objects.filter(tenant=self.tenant, type__in=ends).order_by("seq"):
            fact = read.fact(row)
            assert not isinstance(fact, AgentTaskFailedEvent), fact
            assert isinstance(fact, AgentTaskCompletedEvent)
            assert fact.result == fact.task_id
            completed[fact.task_id] += 1
        return completed

    def works(self) -> Counter[str]:
        """How often each task was worked on to its end."""
        return Counter(self.diary.read_text(encoding="ascii").split())
