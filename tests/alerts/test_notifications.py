"""A thousand failures are one message, sent until it is taken, and the same in each attempt."""

import smtplib
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook

from events.bus import InMemoryEventBus
from events.log import read
from events.models import Event
from projections.alerts import alert_services, hearing, rule_services, standing
from projections.alerts.models import Alert
from projections.alerts.rules import Rule
from projections.notify import carriers, deliveries, digests, outbox, sending
from projections.notify.carriers import Webhooks
from projections.notify.deliveries import Delivery
from projections.notify.models import UNSETTLED, WAITING, Digest, Happened, Notice
from projections.outbound.connection import Undelivered
from projections.outbound.post import Answer, Outbound
from tests.alerts.fleet import (
    ALICE,
    alerts,
    completed,
    failed,
    happen,
    outage,
    paused,
    recovery,
    rule,
    stand,
)
from tests.outbound.servers import reaching_home, serving

FIRST = timedelta(seconds=10)  # by then the first digest has been made
LATER = timedelta(seconds=75)


class Recorder(Outbound):
    """Takes posts, or answers as it is told."""

    def __init__(self, answers: list[int | Exception] | None = None) -> None:
        super().__init__()
        object.__setattr__(self, "answers", answers or [])
        object.__setattr__(self, "posts", [])

    posts: list[tuple[str, bytes, dict[str, str]]]
    answers: list[int | Exception]

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        self.posts.append((url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, b"")

    def to(self, url: str) -> list[tuple[bytes, dict[str, str]]]:
        return [(body, headers) for there, body, headers in self.posts if there == url]


@pytest.fixture
def bob(acme: str) -> str:
    return f"bob@{acme}.example.org"


@pytest.fixture
def hook(acme: str) -> str:
    return f"https://{acme}.example.org/alerts"


@pytest.fixture(autouse=True)
def nothing_is_left(acme: str, globex: str) -> Iterator[None]:
    """The sweep serves all tenants: what one test left would be sent in the next."""
    yield
    for tenant in (acme, globex):
        Notice.objects.filter(tenant=tenant).delete()
        Digest.objects.filter(UNSETTLED, tenant=tenant).update(given_up_at=timezone.now())


@pytest.fixture(autouse=True)
def nothing_else_is_due(committed_db: None) -> None:
    """What other tests have left to be told is told before: a sweep takes a few of all tenants."""
    later = timezone.now() + timedelta(hours=5)
    for _ in range(200):
        if not sending.sweep(Webhooks(Recorder()), later):
            break
    mail.outbox = []


def after(delay: timedelta = FIRST, recorder: Outbound | None = None) -> None:
    sending.sweep(Webhooks(recorder or Recorder()), timezone.now() + delay)


def mails_to(address: str) -> list[Any]:
    return [message for message in mail.outbox if message.to == [address]]


def digest_of(tenant: str) -> Digest:
    return Digest.objects.filter(tenant=tenant).order_by("-made_at")[0]


def open_many(tenant: str, number: int) -> None:
    made = rule_services.get_rule(tenant=tenant, name="mine")
    for each in range(number):
        now = timezone.now()
        alert = Alert(
            tenant_id=tenant,
            rule="mine",
            subject=f"a-{each:04}",
            detail="AgentTaskFailedEvent: t-1, no",
            opened_at=now,
            opened_seq=each + 1,
            last_at=now,
            last_seq=each + 1,
        )
        standing.open_alert(made, alert)


@pytest.mark.usefixtures("listening")
def test_an_alert_is_told_by_mail_within_ten_seconds(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    happen(acme, failed(task_id="t-7"))
    after(timedelta(seconds=2))
    assert mails_to(bob) == []

    after(timedelta(seconds=4))

    (message,) = mails_to(bob)
    assert message.subject == f"{acme}: mine, a-1"
    assert message.from_email == "agentmesh@localhost"
    assert "- mine, a-1" in message.body
    assert "AgentTaskFailedEvent: t-7, no" in message.body
    assert f"{settings.PUBLIC_URL}/t/{acme}/agents/a-1" in message.body
    assert "Not resolved now: 1" in message.body
    assert digest_of(acme).sent_at is not None


def test_a_thousand_failures_are_one_message_to_each(acme: str, bob: str, hook: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob], webhooks=[hook])
    with transaction.atomic():  # a thousand commits would prove nothing more
        open_many(acme, 1_000)
    recorder = Recorder()
    after(recorder=recorder)
    after(timedelta(minutes=5), recorder)

    (message,) = mails_to(bob)
    assert message.subject == f"{acme}: 1,000 alerts opened"
    assert "Opened: 1,000 mine" in message.body
    assert message.body.count("- mine, a-") == 20
    assert "and 980 more" in message.body
    ((body, _),) = recorder.to(hook)
    data = msgspec.json.decode(body)["data"]
    assert (data["opened"]["count"], data["unresolved"]) == (1_000, 1_000)
    assert [alert["agent_id"] for alert in data["opened"]["first"]] == [
        f"a-{number:04}" for number in range(20)
    ]
    assert Notice.objects.filter(WAITING, tenant=acme).count() == 0


def test_while_more_comes_it_is_waited_for_but_not_for_long(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    open_many(acme, 3)
    now = timezone.now()
    first, last = (Notice.objects.filter(tenant=acme).order_by(by)[0] for by in ("id", "-id"))
    Notice.objects.filter(tenant=acme, pk=first.pk).update(at=now - timedelta(seconds=7))
    Notice.objects.filter(tenant=acme, pk=last.pk).update(at=now)
    sending.sweep(Webhooks(Recorder()), now + timedelta(seconds=0.5))
    assert mails_to(bob) == []

    sending.sweep(Webhooks(Recorder()), now + timedelta(seconds=1.5))

    assert [message.subject for message in mails_to(bob)] == [f"{acme}: 3 alerts opened"]


@pytest.mark.usefixtures("listening")
def test_a_post_is_signed_so_that_the_standards_library_accepts_it(acme: str) -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server:
        url = f"https://{acme}.example.org/alerts"
        secret = rule(acme, events="AgentTaskFailedEvent", webhooks=[url])[url]
        happen(acme, failed())
        after(timedelta(seconds=6), Recorder([500]))
        here = url.replace("https", "http").replace(".org", f".org:{server.port}")
        digest = digest_of(acme)
        digest.address = here
        Webhooks(reaching_home()).send(digest, [secret])

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
    payload = Webhook(secret).verify(body, headers)
    assert payload["type"] == "alerts.digest"
    assert payload["data"]["opened"]["first"][0]["agent_id"] == "a-1"
    assert headers["webhook-id"] == str(digest.id)


@pytest.mark.usefixtures("listening")
def test_what_resolved_since_is_told_too(acme: str, bob: str) -> None:
    rule(acme, events="AgentHealthCheckFailedEvent", emails=[bob])
    happen(acme, *outage("a-1"), agent_id="a-1")
    happen(acme, *outage("a-2"), *recovery("a-2"), agent_id="a-2")
    after()
    happen(acme, *recovery("a-1"), agent_id="a-1")
    after(LATER)

    first, second = mails_to(bob)
    assert first.subject == f"{acme}: 2 alerts opened, 1 resolved"
    assert "- mine, a-2, " in first.body
    assert "(resolved meanwhile)" in first.body
    assert second.subject == f"{acme}: 1 alert resolved"
    assert "- mine, a-1: The agent is no longer unhealthy." in second.body


@pytest.mark.usefixtures("listening")
def test_a_target_gets_at_most_one_message_a_minute(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    happen(acme, failed())
    after()
    happen(acme, completed(), failed())
    after(timedelta(seconds=50))
    assert len(mails_to(bob)) == 1

    after(LATER)

    assert [message.subject for message in mails_to(bob)] == [
        f"{acme}: mine, a-1",
        f"{acme}: 1 alert opened, 1 resolved",
    ]


@pytest.mark.usefixtures("listening")
def test_what_a_person_resolves_is_told(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    happen(acme, failed())
    (alert,) = alerts(acme)
    alert_services.resolve_alert(
        tenant=acme, alert_id=alert.id, reason="seen\r\nBcc: all@example.org", by=ALICE
    )
    after()

    (message,) = mails_to(bob)
    assert "- mine, a-1: seen Bcc: all@example.org\n" in message.body
    assert "Bcc" not in message.message()


def test_nothing_that_an_agent_says_becomes_a_header(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    made = rule_services.get_rule(tenant=acme, name="mine")
    alert = stand(acme, name="other", subject="a-1\r\nBcc: all@example.org")
    Notice.objects.create(
        tenant_id=acme,
        channel="email",
        address=made.emails[0],
        alert=alert,
        happened=Happened.OPENED,
    )
    after()

    (message,) = mails_to(bob)
    assert "\n" not in message.subject
    assert "Bcc" not in message.message()


def test_an_acknowledged_alert_is_not_told_again(
    acme: str, bob: str, listening: InMemoryEventBus
) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    happen(acme, failed())
    after()
    (alert,) = alerts(acme)
    alert_services.acknowledge_alert(tenant=acme, alert_id=alert.id, by=ALICE)
    happen(acme, failed(), failed())
    after(LATER)

    assert len(mails_to(bob)) == 1


class TestATargetThatDoesNotTake:
    @pytest.fixture
    def told(self, acme: str, hook: str, listening: InMemoryEventBus) -> str:
        rule(acme, events="AgentTaskFailedEvent", webhooks=[hook])
        happen(acme, failed())
        return hook

    def test_is_tried_again_with_the_same_message(self, acme: str, told: str) -> None:
        recorder = Recorder([503, Undelivered("There was no answer."), 200])
        now = timezone.now() + FIRST
        for wait in (0, 13, 100):
            now += timedelta(seconds=wait)
            sending.sweep(Webhooks(recorder), now)

        first, second, third = recorder.to(told)
        assert first[0] == second[0] == third[0]
        ids = {headers["webhook-id"] for _, headers in (first, second, third)}
        assert ids == {str(digest_of(acme).id)}
        assert (digest_of(acme).attempts, digest_of(acme).last_error) == (3, None)
        assert digest_of(acme).sent_at is not None

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (503, "It answered 503."),
            (302, "It answered 302. Redirects are not followed."),
            (Undelivered("x has an address that is not public."), "x has an address that is"),
            (RuntimeError("bug"), "It could not be sent: see the log."),
        ],
    )
    def test_says_why_and_when_it_is_tried_again(
        self, acme: str, told: str, answer: int | Exception, words: str
    ) -> None:
        now = timezone.now() + FIRST
        sending.sweep(Webhooks(Recorder([answer])), now)

        digest = digest_of(acme)
        assert (digest.last_error or "").startswith(words)
        assert timedelta(seconds=8) <= digest.next_try_at - now <= timedelta(seconds=12)

    def test_is_given_up_after_eight_attempts_and_stays_visible(self, acme: str, told: str) -> None:
        recorder = Recorder([500] * 20)
        now = timezone.now() + FIRST
        began = now
        for _ in range(20):
            sending.sweep(Webhooks(recorder), now)
            now = digest_of(acme).next_try_at

        assert len(recorder.to(told)) == 8
        digest = digest_of(acme)
        assert digest.given_up_at is not None
        assert digest.last_error == "It answered 500."
        assert timedelta(hours=3) < digest.given_up_at - began < timedelta(hours=5)

    def test_gets_what_has_gathered_meanwhile_in_one_message(self, acme: str, told: str) -> None:
        recorder = Recorder([500])
        after(recorder=recorder)
        happen(acme, failed(agent_id="a-2"), agent_id="a-2")
        happen(acme, failed(agent_id="a-3"), agent_id="a-3")
        for minutes in (2, 4):
            after(timedelta(minutes=minutes), recorder)

        subjects = [
            [each["agent_id"] for each in msgspec.json.decode(body)["data"]["opened"]["first"]]
            for body, _ in recorder.to(told)
        ]
        assert subjects == [["a-1"], ["a-1"], ["a-2", "a-3"]]

    def test_holds_up_no_other(self, acme: str, bob: str, told: str) -> None:
        gate = threading.Event()

        class Dead(Recorder):
            def post(self, url: str, body: bytes, headers: Any) -> Answer:
                if url == told:
                    assert gate.wait(10)
                return Answer(500, b"")

        rule(acme, "other", events="AgentPausedEvent", emails=[bob])
        made = rule_services.get_rule(tenant=acme, name="other")
        now = timezone.now()
        alert = Alert(
            tenant_id=acme, rule="other", subject="a-9", detail="", opened_at=now, opened_seq=9,
            last_at=now, last_seq=9,
        )  # fmt: skip
        standing.open_alert(made, alert)

        def sweep() -> None:
            after(recorder=Dead())
            connection.close()

        thread = threading.Thread(target=sweep)
        thread.start()
        for _ in range(200):
            if mails_to(bob):
                break
            gate.wait(0.02)

        sent_while_the_other_waited = len(mails_to(bob))
        gate.set()
        thread.join(10)
        assert sent_while_the_other_waited == 1

    def test_holds_up_no_other_tenant_however_many_there_are(
        self, acme: str, globex: str, bob: str, listening: InMemoryEventBus
    ) -> None:
        dead = [f"https://{number}.{globex}.example.org/" for number in range(30)]
        for number in range(3):
            urls = dead[number * 10 : number * 10 + 10]
            rule(globex, f"r{number}", events="AgentPausedEvent", webhooks=urls)
        happen(globex, paused())
        now = timezone.now() + FIRST
        digests.make(now - timedelta(seconds=1))
        rule(acme, events="AgentPausedEvent", emails=[bob])
        happen(acme, paused())

        sending.sweep(Webhooks(Recorder([500] * 30)), now)

        assert len(mails_to(bob)) == 1
        assert Digest.objects.filter(tenant=globex, attempts=1).count() == 4

    def test_is_no_target_any_more_when_no_rule_names_it(self, acme: str, told: str) -> None:
        recorder = Recorder([500])
        after(recorder=recorder)
        happen(acme, failed(agent_id="a-2"), agent_id="a-2")
        rule_services.update_rule(tenant=acme, name="mine", webhooks=[], by=ALICE)
        after(timedelta(minutes=5), recorder)

        assert len(recorder.to(told)) == 1
        assert digest_of(acme).last_error == "No rule names this address any more."
        assert Notice.objects.filter(WAITING, tenant=acme).count() == 0


class TestTwoWorkers:
    @pytest.fixture
    def due(self, acme: str, bob: str) -> datetime:
        rule(acme, events="AgentTaskFailedEvent", emails=[bob])
        open_many(acme, 3)
        return timezone.now() + FIRST

    def test_make_one_digest_of_what_has_gathered(self, acme: str, due: datetime) -> None:
        self._at_once(lambda: digests.make(due))

        assert Digest.objects.filter(tenant=acme).count() == 1
        assert Notice.objects.filter(WAITING, tenant=acme).count() == 0

    def test_send_it_once(self, acme: str, bob: str, due: datetime) -> None:
        digests.make(due)
        self._at_once(lambda: sending.sweep(Webhooks(Recorder()), due))

        assert len(mails_to(bob)) == 1
        assert digest_of(acme).attempts == 1

    def test_send_it_again_when_one_died_before_it_was_noted(
        self, acme: str, bob: str, due: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as dying:
            dying.setattr(sending, "_note", lambda *_: None)
            sending.sweep(Webhooks(Recorder()), due)
        sending.sweep(Webhooks(Recorder()), due + timedelta(minutes=4))
        assert len(mails_to(bob)) == 1

        sending.sweep(Webhooks(Recorder()), due + timedelta(minutes=6))

        first, second = mails_to(bob)
        assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
        assert str(digest_of(acme).id) in first.extra_headers["Message-ID"]

    def _at_once(self, work: Any) -> None:
        together = threading.Barrier(3)
        raised: list[BaseException] = []

        def run() -> None:
            try:
                together.wait(10)
                work()
            except BaseException as error:  # noqa: BLE001 -- looked at below
                raised.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert raised == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (smtplib.SMTPRecipientsRefused({}), "The mail server refuses this address."),
        (smtplib.SMTPDataError(554, b"secret\r\nwords"), "The mail server answered 554."),
        (ConnectionRefusedError(111, "x"), "The mail server was not reached"),
    ],
)
def test_a_mail_that_is_not_taken_says_why(
    acme: str, bob: str, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def refuse(message: Any) -> None:
        raise error

    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    open_many(acme, 1)
    monkeypatch.setattr(mail.EmailMessage, "send", refuse)

    after()

    assert (digest_of(acme).last_error or "").startswith(words)
    assert digest_of(acme).sent_at is None


def test_a_mail_comes_from_the_account_where_it_is_an_address(settings: Any) -> None:
    settings.EMAIL_HOST_USER = "mesh@example.org"
    assert carriers.sender() == "mesh@example.org"
    settings.EMAIL_HOST_USER = "apikey"
    settings.PUBLIC_URL = "https://mesh.example.org"
    assert carriers.sender() == "agentmesh@mesh.example.org"


@pytest.mark.usefixtures("listening")
def test_an_event_that_comes_again_is_not_told_again(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    happen(acme, failed(), completed())
    for row in Event.objects.filter(tenant=acme).order_by("seq"):
        hearing.hear(read.fact(row))
    after()

    (message,) = mails_to(bob)
    assert message.subject == f"{acme}: 1 alert opened, 1 resolved"


@pytest.mark.usefixtures("listening")
def test_nobody_in_globex_is_told_of_acme(acme: str, globex: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    rule(globex, events="AgentTaskFailedEvent", emails=[bob])  # the same person, in both
    happen(acme, failed())
    after()

    (message,) = mails_to(bob)
    assert globex not in message.body + message.subject
    assert Digest.objects.filter(tenant=globex).count() == 0


def test_old_digests_go(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    open_many(acme, 1)
    after()
    Digest.objects.filter(tenant=acme).update(made_at=timezone.now() - timedelta(days=31))
    after(LATER)

    assert Digest.objects.filter(tenant=acme).count() == 0


def test_an_alert_and_its_notice_are_one(acme: str, bob: str, monkeypatch: Any) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])

    def fail(*_: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(outbox, "note", fail)
    with pytest.raises(RuntimeError, match="no room"):
        open_many(acme, 1)

    assert alerts(acme) == []


def test_a_rule_without_targets_tells_nobody(acme: str) -> None:
    standing.open_alert(
        Rule(name="mine"), Alert(tenant_id=acme, rule="mine", subject="a-1", detail="",
        opened_at=timezone.now(), opened_seq=1, last_at=timezone.now(), last_seq=1),
    )  # fmt: skip

    assert Notice.objects.filter(WAITING, tenant=acme).count() == 0


def test_what_was_told_of_an_alert_stays_known_as_long_as_its_message(acme: str, bob: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", emails=[bob])
    open_many(acme, 2)
    (alert, _) = alerts(acme)
    assert [each.state for each in deliveries.of(alert)] == [Delivery.WAITING]

    after()

    (told,) = deliveries.of(alert)
    assert (told.state, told.notice.address) == (Delivery.SENT, bob)
    assert told.digest == digest_of(acme)
    rule_services.delete_rule(tenant=acme, name="mine", by=ALICE)
    assert [each.state for each in deliveries.of(alert)] == [Delivery.SENT]
    after(sending.KEPT + LATER)
    assert deliveries.of(alert) == []
    assert not Notice.objects.filter(tenant=acme).exists()
    assert not Digest.objects.filter(tenant=acme).exists()


def test_a_message_that_nobody_takes_is_seen_until_it_is_taken(acme: str, hook: str) -> None:
    rule(acme, events="AgentTaskFailedEvent", webhooks=[hook])
    open_many(acme, 1)
    (alert,) = alerts(acme)

    after(recorder=Recorder([500]))
    now = timezone.now() + FIRST

    assert [each.state for each in deliveries.of(alert)] == [Delivery.FAILING]
    assert [each.last_error for each in deliveries.in_trouble(acme, now)] == ["It answered 500."]
    after(LATER)
    assert [each.state for each in deliveries.of(alert)] == [Delivery.SENT]
    assert deliveries.in_trouble(acme, now) == []
