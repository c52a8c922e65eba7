"""The story of the demo's week: a fleet that is hired and works, a strange night, and an evening
on which a provider was down, one agent failed most, and the operator on call paused it."""

import json
import random
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO

import msgspec

from agentmesh_site.demo.arrivals import TAG
from agentmesh_site.demo.fleet import RETIRED
from agentmesh_site.demo.history.shifts import FAILS, Life, Shifts
from agentmesh_site.demo.history.tape import Tape
from agents.domain import decide
from agents.domain.state import Status
from agents.replay.fleet import member
from events.confidential import form
from events.facts import DomainEvent, Fact
from events.log.proposal import Context
from events.tenant_facts import (
    AccessDenied,
    LogExported,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    PayloadErased,
    SettingsChanged,
    SignedIn,
    SignInFailed,
    TokenIssued,
    TokenRevoked,
)
from events.vocabulary import AgentTaskAssignedEvent

AGENTS = 20
DAYS = 7
WORST = "coder-03"
HIT = frozenset({WORST, "writer-02", "tester-04", "reviewer-02"})
SILENT = frozenset({"writer-02", "tester-04"})
LIVE_TIMEOUT_SECONDS = 90
BUSY_HOURS = range(7, 20)  # UTC
# From one task of an agent to its next; on the evening what failed was tried again.
BY_DAY, BY_NIGHT = timedelta(minutes=45), timedelta(hours=2)
BY_EVENING = timedelta(minutes=14)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
OFFICE, HOME, ELSEWHERE = "192.0.2.11", "198.51.100.23", "203.0.113.77"
DEMO = Context(actor="system:demo")


@dataclass(frozen=True, slots=True)
class Evening:
    """Yesterday's, on which the model's provider was down: four hours, in UTC."""

    begins: datetime
    ends: datetime

    @classmethod
    def before(cls, end: datetime) -> "Evening":
        midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
        begins = midnight - timedelta(hours=4, minutes=30)
        return cls(begins, begins + timedelta(hours=4))

    def between_tasks(self, at: datetime) -> timedelta:
        if self.begins <= at < self.ends:
            return BY_EVENING
        return BY_DAY if at.hour in BUSY_HOURS else BY_NIGHT

    def fails(self, agent_id: str, at: datetime) -> float:
        if not self.begins <= at < self.ends:
            return FAILS
        return {WORST: 0.85}.get(agent_id, 0.4 if agent_id in HIT else 0.12)

    def is_silent(self, agent_id: str, at: datetime) -> bool:
        return agent_id in SILENT and self.begins + timedelta(minutes=40) <= at < self.ends


def tell(tenant: str, name: str, end: datetime) -> BytesIO:
    """The week before `end` as a file for `import_log`. The same moment tells the same week, but
    for the log's id and a key that nobody keeps."""
    began = end.replace(hour=7, minute=30, second=0, microsecond=0) - timedelta(days=DAYS)
    story = _Story(Tape(tenant, name, began, random.Random(20)), began, end)
    story.happen()
    return story.tape.file()


class _Story:
    def __init__(self, tape: Tape, began: datetime, end: datetime) -> None:
        self.tape, self.began, self.end = tape, began, end
        self.chance = random.Random(11)
        self.evening = Evening.before(end)
        self.shifts = Shifts(tape, self.chance, self.evening, end)
        self.lives = {
            each.agent_id: Life(tape, each)
            for each in (RETIRED, *(member(number, TAG) for number in range(1, AGENTS + 1)))
        }

    def happen(self) -> None:
        self._let_people_in()
        self._hire()
        self._grow()
        self._erase()
        self._strange_night()
        self._part_with_dave()
        self._evening()
        self._get_ready_for_today()
        self.shifts.run()

    def _day(self, number: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
        """A moment on a day of the week, 0 being the first; nothing lies beyond the end."""
        midnight = self.began.replace(hour=0, minute=0)
        day = midnight + timedelta(days=number, hours=hour, minutes=minute, seconds=second)
        return min(day, self.end - timedelta(seconds=1))

    def _tell(self, at: datetime, by: Context, kind: type[Fact], **said: object) -> None:
        self.shifts.at(at, lambda moment: self.tape.take([kind(**said, occurred_at=moment)], by))

    def _order(
        self,
        at: datetime,
        agent_id: str,
        by: Context,
        order: Callable[..., Sequence[DomainEvent]],
        **said: object,
    ) -> None:
        life = self.lives[agent_id]
        self.shifts.at(
            at, lambda moment: life.do(lambda agent: order(agent, **said, now=moment), by)
        )

    def _let_people_in(self) -> None:
        roles = {"alice": "admin", "bob": "operator", "carol": "auditor", "dave": "operator"}
        for number, (username, role) in enumerate(roles.items()):
            by = DEMO if number == 0 else person("alice", OFFICE)
            self._tell(self._day(0, 7, 31 + number), by, MemberAdded, username=username, role=role)
        self._issue(self._day(0, 7, 40), "dispatcher", "operator", person("alice", OFFICE))
        for day in range(DAYS):
            for username, hour in (("alice", 8), ("bob", 7), ("carol", 9)):
                self._sign_in(self._day(day, hour, self.chance.randrange(50)), username, OFFICE)

    def _hire(self) -> None:
        by = person("alice", OFFICE, correlation_id=uuid.UUID(int=1).hex)
        for number, life in enumerate(self.lives.values()):
            at = self._day(0, 7, 45) + number * timedelta(seconds=40)
            self.shifts.at(at, partial(self._enlist, life, by))

    def _enlist(self, life: Life, by: Context, at: datetime) -> None:
        (created,) = life.create(self.tape.tenant, at, by)
        started = person("bob", OFFICE, correlation_id=by.correlation_id, causation_id=created)
        self.shifts.at(
            at + timedelta(seconds=20), lambda moment: self._start(life, moment, started)
        )

    def _start(self, life: Life, at: datetime, by: Context) -> None:
        life.do(lambda agent: decide.activate(agent, now=at), by)
        self.shifts.heartbeat(life, at + timedelta(seconds=1))
        self.shifts.put_to_work(life, at + timedelta(seconds=2))

    def _grow(self) -> None:
        """What becomes of agents in an ordinary week."""
        bob = person("bob", OFFICE)
        self._order(
            self._day(1, 14, 12), "tester-01", bob, decide.add_capability,
            name="fuzzing", proficiency_level=2,
        )  # fmt: skip
        self._order(
            self._day(2, 10, 5), "writer-01", person("bob", OFFICE, "Passed its evaluation."),
            decide.upgrade_capability, name="translation", proficiency_level=4,
        )  # fmt: skip
        until = self._day(3, 13, 0)
        self._order(
            self._day(3, 11, 2), "reviewer-01", person("bob", OFFICE, "Its prompt is changed."),
            decide.pause, reason="Its prompt is changed.", until=until,
        )  # fmt: skip
        self.shifts.at(
            until + timedelta(seconds=2),
            lambda at: self.lives["reviewer-01"].do(
                lambda agent: decide.time_passes(agent, now=at), Context(actor="system:resume")
            ),
        )
        self.shifts.at(self._day(2, 16, 20), self._retire)

    def _retire(self, at: datetime) -> None:
        reason = "Newer agents do its work."
        life = self.lives[RETIRED.agent_id]
        life.do(
            lambda agent: decide.terminate(agent, reason=reason, force=True, now=at),
            person("alice", OFFICE, reason),
        )

    def _erase(self) -> None:
        """A task with somebody's data, of which nobody has the key any more."""
        alice = person("alice", OFFICE)
        for at, is_on in ((self._day(3, 9, 30), True), (self._day(3, 15, 0), False)):
            self._tell(at, alice, SettingsChanged, changed={"confidential_payloads": is_on})
        self.shifts.at(self._day(3, 10, 0), self._take_personal_data)
        reason = "The person concerned asked for it."
        self._tell(
            self._day(4, 11, 20),
            person("alice", OFFICE, reason),
            PayloadErased,
            agent_id=None,
            task_id="letter-4711",
            reason=reason,
        )

    def _take_personal_data(self, at: datetime) -> None:
        life = next(each for each in self.lives.values() if each.state.status is Status.AVAILABLE)
        place = form.Place(self.tape.tenant, life.agent_id, "letter-4711", "input")
        text = b'{"letter":"to Mrs. Example, 1 Sample Street"}'
        sealed = form.seal(text, secrets.token_bytes(form.KEY_BYTES), secrets.token_hex(16), place)
        by = person("bob", OFFICE, correlation_id="letter-4711")
        life.do(
            lambda agent: [
                msgspec.structs.replace(fact, input=sealed)
                if isinstance(fact, AgentTaskAssignedEvent)
                else fact
                for fact in decide.assign(agent, task_id="letter-4711", now=at)
            ],
            by,
        )
        self.shifts.at(
            at + timedelta(seconds=8),
            lambda moment: life.do(
                lambda agent: decide.complete(
                    agent, task_id="letter-4711", execution_time_ms=8_000, now=moment
                ),
                Context(actor=f"agent:{life.agent_id}", correlation_id="letter-4711"),
            ),
        )

    def _strange_night(self) -> None:
        """Somebody has Alice's password, or Alice cannot sleep: an auditor would like to know."""
        elsewhere = person("alice", ELSEWHERE)
        for second in (2, 9, 21):
            self._tell(
                self._day(4, 2, 11, second),
                elsewhere,
                SignInFailed,
                username="alice",
            )
        self._sign_in(self._day(4, 2, 12), "alice", ELSEWHERE)
        token = self._issue(self._day(4, 2, 14), "nightly-copy", "admin", elsewhere)
        self._tell(
            self._day(4, 2, 15),
            elsewhere,
            LogExported,
            format="jsonl",
            from_seq=1,
            to_seq=None,
            filters={},
        )
        reason = "Nobody knows what it was for."
        self._tell(
            self._day(4, 8, 41),
            person("alice", OFFICE, reason),
            TokenRevoked,
            token_id=token,
            name="nightly-copy",
        )

    def _part_with_dave(self) -> None:
        alice = person("alice", OFFICE)
        self._tell(
            self._day(2, 17, 30),
            person("dave", HOME),
            AccessDenied,
            principal="user:dave",
            method="GET",
            route="t/<tenant:tenant>/tokens/issue/",
            role="operator",
        )
        self._tell(
            self._day(5, 9, 5),
            alice,
            MemberChanged,
            username="dave",
            from_role="operator",
            to_role="operator",
            suspended=True,
        )
        self._tell(
            self._day(5, 16, 0),
            person("alice", OFFICE, "Has left the company."),
            MemberRemoved,
            username="dave",
            role="operator",
        )

    def _evening(self) -> None:
        """Bob is on call."""
        called = self.evening.begins + timedelta(hours=2, minutes=50)
        self._sign_in(called, "bob", HOME)
        reason = (
            "Fails most of its tasks since the provider's outage. Kept out until it is clear why."
        )
        self._order(
            called + timedelta(minutes=4), WORST, person("bob", HOME, reason),
            decide.pause, reason=reason,
        )  # fmt: skip

    def _get_ready_for_today(self) -> None:
        """From now on agents beat often, as the living ones do, and each was heard just now."""
        by = person(
            "alice",
            OFFICE,
            "Agents beat every few seconds now.",
            correlation_id=uuid.UUID(int=2).hex,
        )
        for number, life in enumerate(self.lives.values()):
            moment = self.end - timedelta(seconds=30) + number * timedelta(milliseconds=900)
            self.shifts.at(moment, partial(self._beat_often, life, by))

    def _beat_often(self, life: Life, by: Context, at: datetime) -> None:
        if life.state.status is Status.TERMINATED:
            return
        life.do(
            lambda agent: decide.update(
                agent, health_check_timeout_seconds=LIVE_TIMEOUT_SECONDS, now=at
            ),
            by,
        )
        self.shifts.heartbeat(life, at + timedelta(milliseconds=300))

    def _sign_in(self, at: datetime, username: str, address: str) -> None:
        self._tell(
            at,
            person(username, address),
            SignedIn,
            username=username,
        )

    def _issue(self, at: datetime, name: str, role: str, by: Context) -> str:
        token_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        self._tell(
            at,
            by,
            TokenIssued,
            token_id=token_id,
            name=name,
            role=role,
        )
        return token_id


def person(
    username: str,
    address: str,
    reason: str | None = None,
    *,
    correlation_id: str | None = None,
    causation_id: str | None = None,
) -> Context:
    origin = {"address": address, "user_agent": BROWSER}
    return Context(
        actor=f"user:{username}",
        reason=reason,
        correlation_id=correlation_id,
        causation_id=causation_id,
        origin=json.dumps(origin, separators=(",", ":")),
    )
