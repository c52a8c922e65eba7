"""One tenant's story, told in requests: every operation once, and the answers as examples.

What differs from run to run (ids, moments, hashes, secrets) is told as in a book: the first UUID is
always the same, and the moments stand in their order. So the examples of the document are real
answers, and a test tells the story again: `tests.api.test_examples`.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib.auth.models import User
from django.http import HttpResponse

from events import tenant_settings
from events.api.openapi.document import document
from events.bus import event_bus
from events.checkpoints import take
from events.durable.catching_up import catch_up
from events.log.proposal import Context
from events.models import Event, HeldStream, SubscriptionCheckpoint
from events.moments import rfc3339
from tests.alerts.fleet import stand
from tests.api.conftest import Caller, People
from tests.api.documented import template_of
from tests.api.test_integrity import work

READERS = ("tasks", "analytics")
NOTHING: Any = object()
HEARTBEAT = {
    "success_rate": 0.98,
    "response_time_ms": 41.5,
    "cpu_usage_percent": 12,
    "memory_usage_percent": 37.5,
}


class Story:
    """`tell` makes a request and keeps it with its answer."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.kept: dict[str, Any] = {}
        self.problems: dict[str, Any] = {}
        self._paths = {
            operation["operationId"]: (method.upper(), path)
            for path, methods in document()["paths"].items()
            for method, operation in methods.items()
        }

    def tell(
        self,
        operation: str,
        body: Any = NOTHING,
        *,
        by: Caller | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **path: str,
    ) -> Any:
        """The answer's body."""
        method, template = self._paths[operation]
        asked = template.format(
            tenant=self.people.alice.tenant, **{name: quote(each) for name, each in path.items()}
        )
        assert template_of(asked) == template
        response = (by or self.people.alice).request(
            method,
            asked + (f"?{urlencode(query)}" if query else ""),
            None if body is NOTHING else body,
            **(headers or {}),
        )
        answer = _body(response)
        if response.status_code >= 400:
            self.problems.setdefault(answer["code"], answer)
            return answer
        assert operation not in self.kept, f"{operation} was told before"
        self.kept[operation] = {"status": response.status_code}
        if body is not NOTHING:
            self.kept[operation]["body"] = body
        if answer is not NOTHING:
            self.kept[operation]["answer"] = answer
        return answer


def _body(response: HttpResponse) -> Any:
    if response.streaming:
        return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    if not response.content:
        return NOTHING
    return json.loads(response.content)


def told(people: People, name: Callable[[str], str]) -> dict[str, Any]:
    """The story, whole. name: makes a name that nobody has."""
    story = Story(people)
    dave = User.objects.create_user(name("dave")).username
    _agents(story)
    _tasks(story)
    _log(story)
    _views(story)
    _troubles(story)
    _access(story, dave)
    _refusals(story)
    found = {"operations": dict(sorted(story.kept.items())), "problems": story.problems}
    book: dict[str, Any] = _as_in_a_book(found, {people.alice.tenant: "acme", dave: "dave"})
    return book


def _agents(story: Story) -> None:
    story.tell(
        "create_agent",
        {
            "agent_id": "a-1",
            "name": "Summariser",
            "agent_type": "writer",
            "capabilities": [{"name": "summarise", "proficiency_level": 3}],
            "tags": ["eu"],
            "metadata": {"model": "large"},
        },
    )
    story.tell("activate_agent", {}, agent_id="a-1")
    story.tell("update_agent", {"tags": ["eu", "night"]}, agent_id="a-1")
    story.tell("record_heartbeat", HEARTBEAT, agent_id="a-1")
    story.tell("add_capability", {"name": "translate", "proficiency_level": 2}, agent_id="a-1")
    story.tell("upgrade_capability", {"proficiency_level": 4}, agent_id="a-1", name="translate")
    story.tell("pause_agent", {"reason": "The supplier is down."}, agent_id="a-1")
    story.tell("resume_agent", {"reason": "It is back."}, agent_id="a-1")
    story.tell("read_agent", agent_id="a-1")
    story.tell("list_agents", query={"status": "AVAILABLE,BUSY", "tag": "eu"})
    story.tell("diff_agent", query={"from": "1", "to": "3"}, agent_id="a-1")


def _tasks(story: Story) -> None:
    tenant = story.people.alice.tenant
    tenant_settings.change_settings(
        tenant, confidential_payloads=True, by=Context(actor="system:setup")
    )
    story.tell("assign_task", {"task_id": "t-1", "input": {"file": "a.txt"}}, agent_id="a-1")
    story.tell("fail_task", {"error_message": "a.txt is not there."}, agent_id="a-1", task_id="t-2")
    usage = {"input_tokens": 900, "output_tokens": 40}
    done = {"execution_time_ms": 1200, "result": {"words": 90}, "usage": usage}
    story.tell("complete_task", done, agent_id="a-1", task_id="t-1")
    alice = story.people.alice
    alice.made(alice.post("/agents/a-1/tasks", {"task_id": "t-2"}))
    failure = {"error_message": "b.txt is not there.", "error_code": "NO_FILE"}
    story.tell("fail_task", failure, agent_id="a-1", task_id="t-2")
    story.tell("read_task", task_id="t-1")
    sought = [{"name": "translate", "min_level": 2}]
    story.tell("route_task", {"task_id": "t-3", "required_capabilities": sought})
    done = {"execution_time_ms": 90, "usage": None}
    orders = [
        {"command": "complete", "agent_id": "a-1", "body": {"task_id": "t-3", **done}},
        {"command": "resume", "agent_id": "a-1"},
    ]
    story.tell("run_commands", orders)
    for reader in READERS:
        catch_up(event_bus.subscriptions[reader], tenant)
    story.tell("list_tasks", query={"status": "completed"})
    story.tell("list_agent_tasks", query={"status": "failed"}, agent_id="a-1")
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    range_ = {"since": rfc3339(day), "until": rfc3339(day + timedelta(days=1)), "bucket": "day"}
    story.tell("read_task_analytics", query=range_)
    story.tell("erase_task", {"reason": "The customer asked for it."}, task_id="t-1")
    story.tell("erase_agent", {"reason": "The contract has ended."}, agent_id="a-1")


def _log(story: Story) -> None:
    tenant = story.people.alice.tenant
    page = story.tell("list_events", query={"types": "AgentTask*", "limit": "2"})
    story.tell("read_event", event_id=page["items"][0]["id"])
    story.tell("list_agent_events", query={"limit": "1"}, agent_id="a-1")
    asked = story.tell("verify_log", {})
    work(tenant)
    story.tell("read_verification", verification_id=asked["id"])
    story.tell("list_verifications", query={"limit": "1"})
    story.tell("read_integrity")
    take(tenant)
    story.tell("list_checkpoints")
    story.tell("list_keys")
    story.tell("export_log", query={"types": "AgentPausedEvent"})
    story.tell("list_schemas", query={"limit": "1"})
    story.tell("read_schema", type="AgentPausedEvent", version="1.0")


def _views(story: Story) -> None:
    view = {"name": "Failures", "query": {"types": "AgentTaskFailedEvent"}}
    made = str(story.tell("create_saved_view", view)["id"])
    story.tell("list_saved_views")
    story.tell("read_saved_view", view_id=made)
    story.tell("change_saved_view", {"name": "What failed"}, view_id=made)
    story.tell("delete_saved_view", view_id=made)


def _troubles(story: Story) -> None:
    tenant = story.people.alice.tenant
    story.tell("record_health_failure", {"reason": "It does not answer."}, agent_id="a-1")
    story.tell("list_subscriptions", query={"limit": "1"})
    _park(tenant, "billing", "a-1")
    story.tell("retry_parked", {}, name="billing", stream_id="a-1")
    HeldStream.objects.filter(tenant=tenant).update(parked_at=datetime.now(UTC), retry_at=None)
    reason = {"reason": "It is booked by hand."}
    story.tell("skip_parked", reason, name="billing", stream_id="a-1")
    rule = {
        "name": "night-shift",
        "events": "AgentHealthCheckFailedEvent,AgentTaskFailedEvent",
        "agent_tags": ["night"],
        "emails": ["night@example.org"],
        "webhooks": ["https://hooks.example.org/agentmesh"],
    }
    story.tell("create_alert_rule", rule)
    story.tell("list_alert_rules", query={"limit": "1"})
    story.tell("change_alert_rule", {"minimum_tasks": 10}, name="night-shift")
    story.tell("read_alert_rule", name="night-shift")
    story.tell("rotate_webhook_secret", {"url": "https://hooks.example.org/agentmesh"})
    alert = str(stand(tenant, "night-shift", "a-1").id)
    story.tell("list_alerts", query={"state": "open"})
    story.tell("acknowledge_alert", {"note": "I am looking."}, alert_id=alert)
    story.tell("read_alert", alert_id=alert)
    story.tell("resolve_alert", {"reason": "It was the network."}, alert_id=alert)
    story.tell("delete_alert_rule", name="night-shift")
    story.tell("terminate_agent", {"reason": "Its work is done."}, agent_id="a-1")


def _access(story: Story, dave: str) -> None:
    story.tell("read_me")
    story.tell("add_member", {"username": dave, "role": "auditor"})
    story.tell("list_members")
    story.tell("change_member", {"role": "operator"}, username=dave)
    story.tell("read_member", username=dave)
    story.tell("remove_member", username=dave)
    issued = story.tell("issue_token", {"name": "ci", "role": "operator"})
    story.tell("read_token", token_id=issued["id"])
    story.tell("list_tokens", query={"limit": "1"})
    story.tell("revoke_token", token_id=issued["id"])


def _refusals(story: Story) -> None:
    """One of each kind that a client meets every day."""
    alice, mallory, carol = story.people.alice, story.people.mallory, story.people.carol
    create = {"name": "x", "capabilities": [{"name": "x", "proficiency_level": 9}]}
    story.tell("create_agent", create)
    create["capabilities"] = [{"name": "x", "proficiency_level": 1}]
    story.tell("create_agent", {**create, "agent_id": "a-1"})
    story.tell("create_agent", create, by=carol)
    story.tell("read_agent", by=mallory, agent_id="a-1")
    story.tell("read_agent", by=Caller(alice.tenant, "am_nobody-has-this-one"), agent_id="a-1")
    story.tell("read_agent", headers={"Accept": "text/html"}, agent_id="a-1")
    story.tell("update_agent", {"name": "y"}, headers={"If-Match": '"1"'}, agent_id="a-1")
    story.tell("update_agent", b"name=y", headers={"Content-Type": "text/plain"}, agent_id="a-1")
    story.tell("update_agent", {"metadata": {"x": "y" * 70_000}}, agent_id="a-1")
    key = {"Idempotency-Key": "first"}
    alice.made(alice.post("/tokens", {"name": "one", "role": "auditor"}, **key))
    story.tell("issue_token", {"name": "two", "role": "auditor"}, headers=key)


def _park(tenant: str, subscription: str, stream_id: str) -> None:
    event = Event.objects.filter(tenant=tenant, stream_id=stream_id, version=1).get()
    SubscriptionCheckpoint.objects.create(
        tenant_id=tenant, subscription=subscription, seq=0, hash=b"", updated_at=datetime.now(UTC)
    )
    HeldStream.objects.create(
        tenant_id=tenant,
        subscription=subscription,
        stream_type=event.stream_type,
        stream_id=stream_id,
        version=1,
        seq=event.seq,
        attempts=6,
        last_error="TimeoutError: the ledger does not answer",
        parked_at=datetime.now(UTC),
    )


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_HEX = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")
# Signatures and hashes in notes; before one may stand the \n of a JSON text in a JSON text.
_BASE64 = re.compile(r"(?:(?<=\\n)|(?<![A-Za-z0-9+/\\]))(?![0-9a-f]+\b)[A-Za-z0-9+/]{40,}={0,2}")
_SECRET = re.compile(r"\b(am_|whsec_)[A-Za-z0-9_+/=-]{20,}")
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def _as_in_a_book(found: Any, names: dict[str, str]) -> Any:
    def named(text: str) -> str:
        for actual, name in names.items():
            text = text.replace(actual, name)
        return _SECRET.sub(r"\1shown-once-and-kept-nowhere", text)

    moments = sorted(set(_MOMENT.findall(json.dumps(found))))
    shown = {each: rfc3339(BEGIN + timedelta(seconds=n)) for n, each in enumerate(moments)}
    changes = (
        named,
        _numbered(_UUID, lambda n: f"0195a000-0000-7000-8000-{n:012}"),
        _numbered(_HEX, _digest),
        _numbered(_BASE64, lambda n: base64.b64encode(_digest(n).encode() * 2).decode()),
        lambda text: _MOMENT.sub(lambda match: shown[match[0]], text),
    )
    for change in changes:
        found = _each_text(found, change)
    return found


def _each_text(found: Any, change: Callable[[str], str]) -> Any:
    if isinstance(found, str):
        return change(found)
    if isinstance(found, list):
        return [_each_text(each, change) for each in found]
    if isinstance(found, dict):
        changed = {change(key): _each_text(each, change) for key, each in found.items()}
        return changed | ({"lag_seconds": 0.25} if "lag_seconds" in changed else {})
    return found


def _numbered(pattern: re.Pattern[str], name: Callable[[int], str]) -> Callable[[str], str]:
    """Every text that fits gets the name of its number, the same one each time it comes."""
    seen: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        actual = match[0]
        if actual not in seen:
            seen[actual] = name(len(seen) + 1)[: len(actual)]
        return seen[actual]

    return lambda text: pattern.sub(replaced, text)


def _digest(number: int) -> str:
    return hashlib.sha256(f"example {number}".encode()).hexdigest()
