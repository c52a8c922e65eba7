"""Roles hold on every page: what one may not do is not offered, and is refused when it is tried.

Every address that a browser may ask for stands in a table of this file; one that is not in it fails
the tests. So whoever adds a page says here who may see it, and who may do what it does:

    "alert_rules": Page(see=ALL)                        a page to read
    "create_alert_rule": Page(see=OPERATORS, do=OPERATORS)   a form on a page of its own
    "delete_alert_rule": Page(do=OPERATORS)             takes a form, and is no page

An address with a new kind of argument, `<str:name>`, gets a value of acme's in `_arguments`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import Resolver404, URLPattern, resolve
from django.urls.resolvers import RoutePattern

from agentmesh_site.urls import admin_pages, urlpatterns
from agents import services
from events import tenants
from events.durable import registration
from events.models import Event, SavedView, SignedCheckpoint, Verification
from events.vocabulary import Capability
from projections.alerts import rule_services
from projections.alerts.rules import Rule
from tests.alerts.fleet import stand
from tests.pages.conftest import SETUP, Person, World, text_of

ADMINS = frozenset({"admin"})
OPERATORS = frozenset({"admin", "operator"})
ALL = frozenset({"admin", "operator", "auditor"})
AUDITORS = frozenset({"admin", "auditor"})
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Page:
    """see: who may ask for it; nobody, where it only takes forms. do: who may send it a form.
    query: what a page cannot do without."""

    see: frozenset[str] = NOBODY
    do: frozenset[str] = NOBODY
    query: Mapping[str, str] = field(default_factory=dict)


PAGES: dict[str, Page] = {
    "dashboard": Page(see=ALL),
    "agents": Page(see=ALL),
    "create_agent": Page(see=OPERATORS, do=OPERATORS),
    "bulk": Page(see=ALL, do=OPERATORS),  # asked for, it leads back to the fleet
    "bulk_do": Page(see=ALL, do=OPERATORS),  # the same
    "bulk_result": Page(see=ALL, query={"seq": "SEQ"}),
    "import_agents": Page(see=OPERATORS, do=OPERATORS),
    "import_do": Page(see=ALL, do=OPERATORS),  # asked for, it leads back to the form
    "import_sample": Page(see=ALL),  # the same file for everybody
    "agent": Page(see=ALL),
    "agent_timeline": Page(see=ALL),
    "agent_history": Page(see=ALL),
    "command": Page(see=ALL, do=OPERATORS),  # asked for, it leads back to the agent
    "tasks": Page(see=ALL),
    "new_task": Page(see=OPERATORS, do=OPERATORS),
    "task": Page(see=ALL),
    "erase_task": Page(see=ADMINS, do=ADMINS),
    "events": Page(see=ALL),
    "newer_events": Page(see=ALL),
    "event_completions": Page(see=ALL),
    "export_events": Page(do=AUDITORS),
    "save_event_view": Page(do=OPERATORS),
    "change_event_view": Page(do=OPERATORS),
    "event": Page(see=ALL),
    "alerts": Page(see=ALL),
    "alert": Page(see=ALL),
    "acknowledge_alerts": Page(do=OPERATORS),
    "acknowledge_alert": Page(see=ALL, do=OPERATORS),  # asked for, it leads back to the alert
    "resolve_alert": Page(see=ALL, do=OPERATORS),
    "proof": Page(see=ALL),
    "verifications": Page(see=ALL, do=AUDITORS),
    "verification": Page(see=ALL),
    "checkpoints": Page(see=ALL, do=AUDITORS),
    "checkpoint_note": Page(see=ALL),
    "bundle": Page(see=AUDITORS, do=AUDITORS),
    "members": Page(see=ALL),
    "add_member": Page(do=ADMINS),
    "change_member": Page(see=ADMINS, do=ADMINS, query={"username": "BOB"}),
    "settings": Page(see=ALL, do=ADMINS),
    "confidential_payloads": Page(do=ADMINS),
    "retention": Page(see=ALL, do=ADMINS),
    "alert_rules": Page(see=ALL),
    "create_alert_rule": Page(see=OPERATORS, do=OPERATORS),
    "alert_rule": Page(see=ALL, do=OPERATORS),
    "switch_alert_rule": Page(do=OPERATORS),
    "delete_alert_rule": Page(do=OPERATORS),
    "rotate_webhook_secret": Page(do=OPERATORS),
    "integrations": Page(see=ALL),
    "relay": Page(see=ALL),
    "schemas": Page(see=ALL),
    "schema": Page(see=ALL),
    "schema_version": Page(see=ALL),
    "subscriptions": Page(see=ALL),
    "subscription": Page(see=ALL),
    "retry_parked": Page(do=OPERATORS),
    "skip_parked": Page(do=OPERATORS),
    "resume_subscription": Page(do=ADMINS),
    "rebuild": Page(do=ADMINS),
    "tokens": Page(see=ALL),
    "issue_token": Page(see=ADMINS, do=ADMINS),
    "revoke_token": Page(see=ADMINS, do=ADMINS),
    "agent_permalink": Page(see=ALL),
    "t/<tenant:tenant>/events/<id:event_id>": Page(see=ALL),
}
# Of no tenant: whoever is signed in may ask for them.
OF_NO_TENANT = {
    "password_change",
    "password_change_done",
    "index",
    "tenants",
    "times",
    "not_found",
}
WITHOUT_SIGNING_IN = {"login", "logout"}


def name_of(pattern: URLPattern) -> str:
    return pattern.name or str(pattern.pattern)


def routes() -> Iterator[tuple[str, URLPattern]]:
    """Every address of a browser, by its name; with what stands before it."""
    for pattern in admin_pages:
        yield "/admin/", pattern
    for each in urlpatterns:
        if isinstance(each, URLPattern) and str(each.pattern).startswith("t/"):
            yield "/", each


def test_every_address_of_a_browser_stands_in_the_table() -> None:
    names = {name_of(pattern) for _, pattern in routes()}

    assert names - PAGES.keys() - OF_NO_TENANT - WITHOUT_SIGNING_IN == set()
    assert PAGES.keys() | OF_NO_TENANT | WITHOUT_SIGNING_IN == names


@dataclass
class Fleet:
    """Acme with one of everything, and what stands for the arguments of its addresses."""

    world: World
    arguments: dict[str, str]

    def address(self, name: str, tenant: str | None = None) -> str:
        """Where the page is in acme, or would be in another tenant."""
        values = self.arguments | {"tenant:tenant": tenant or self.world.acme}
        for before, pattern in routes():
            if name_of(pattern) == name:
                return before + re.sub(r"<(.+?)>", lambda found: values[found[1]], _route(pattern))
        raise AssertionError(f"There is no page {name}.")

    @property
    def people(self) -> dict[str, Person]:
        return {"admin": self.world.alice, "operator": self.world.bob, "auditor": self.world.carol}

    def query(self, name: str) -> dict[str, str]:
        created = Event.objects.get(tenant=self.world.acme, type="AgentCreatedEvent")
        given = {"BOB": self.world.bob.username, "SEQ": str(created.seq)}
        return {key: given.get(value, value) for key, value in PAGES[name].query.items()}

    def recorded(self) -> list[str]:
        events = Event.objects.filter(tenant=self.world.acme).order_by("seq")
        return list(events.values_list("type", flat=True))


def _route(pattern: URLPattern) -> str:
    assert isinstance(pattern.pattern, RoutePattern)
    return str(pattern.pattern)


SECRET = "globex-secret"
CORRELATION = "a-correlation"


@pytest.fixture
def fleet(world: World) -> Fleet:
    for tenant, mark in ((world.acme, "mine"), (world.globex, SECRET)):
        services.create_agent(
            tenant=tenant,
            agent_id=f"{mark}-agent",
            name=f"The agent of {mark}",
            capabilities=[Capability("translation", 2)],
            tags=[f"{mark}-tag"],
            by=replace(SETUP, correlation_id=CORRELATION),
        )
        to: dict[str, Any] = {"tenant": tenant, "agent_id": f"{mark}-agent", "by": SETUP}
        services.activate_agent(**to)
        services.assign_task(**to, task_id=f"{mark}-task")
        rule = Rule(name=f"{mark}-rule", events="AgentTask*", emails=(f"{mark}@example.com",))
        rule_services.create_rule(tenant=tenant, rule=rule, by=SETUP)
    _ = world.carol, world.mallory  # who come when they are called
    token, _ = tenants.issue_token(world.acme, "ci", "operator", by=SETUP)
    tenants.issue_token(world.globex, f"{SECRET}-token", "operator", by=SETUP)
    registration.begin("tasks", world.acme)
    return Fleet(world, _arguments(world.acme) | {"id:token_id": str(token.pk)})


def _arguments(acme: str) -> dict[str, str]:
    """What stands for `<kind:argument>` in acme's addresses."""
    event = Event.objects.filter(tenant=acme, stream_type="agent")[0]
    verification = Verification.objects.create(tenant_id=acme, requested_by="user:carol", head=1)
    checkpoint = SignedCheckpoint.objects.create(tenant_id=acme, seq=1, note="a note")
    view = SavedView.objects.create(tenant_id=acme, name="a view", created_by="user:bob")
    return {
        "agent:agent_id": "mine-agent",
        "id:alert_id": str(stand(acme, subject="mine-agent").pk),
        "id:event_id": str(event.pk),
        "id:view_id": str(view.pk),
        "id:verification_id": str(verification.pk),
        "int:number": str(checkpoint.pk),
        "rule:name": "mine-rule",
        "slug:command": "activate",
        "str:name": "tasks",
        "str:type": "AgentCreatedEvent",
        "str:version": "1.0",
        "task:task_id": "mine-task",
        "trace:correlation": CORRELATION,
    }


def test_whoever_is_not_signed_in_is_led_to_the_login(fleet: Fleet) -> None:
    stranger, faults = Client(), []
    for name in PAGES:
        address = fleet.address(name)
        for response in (stranger.get(address), stranger.post(address)):
            led = response.headers.get("Location", "")
            if (response.status_code, led) != (302, f"/admin/login/?next={address}"):
                faults.append((name, response.status_code, led))

    assert faults == []


def test_mallory_finds_what_she_would_find_if_acme_did_not_exist(fleet: Fleet) -> None:
    before, faults = fleet.recorded(), []
    mallory = fleet.world.mallory.client
    absent = mallory.get(fleet.address("settings", "no-such-tenant"))
    assert absent.status_code == 404
    for name in PAGES:
        for ask in (mallory.get, mallory.post):
            found = ask(fleet.address(name))
            # What takes no such request says so before it asks who is there.
            if found.status_code != 405 and (found.status_code, found.content) != (
                404,
                absent.content,
            ):
                faults.append((name, found.status_code))

    assert faults == []
    assert fleet.recorded() == before


def test_who_may_not_do_a_thing_is_refused_and_nothing_but_that_is_recorded(fleet: Fleet) -> None:
    faults = []
    for name, page in PAGES.items():
        for role in ALL - page.do:
            before = fleet.recorded()
            status = fleet.people[role].post(fleet.address(name)).status_code
            if status != (403 if page.do else 405):
                faults.append((name, role, status))
            done = fleet.recorded()[len(before) :]
            if done != (["AccessDenied"] if page.do else []):
                faults.append((name, role, done))

    assert faults == []


def test_who_may_do_a_thing_is_not_refused_and_an_empty_form_breaks_nothing(fleet: Fleet) -> None:
    faults = []
    for name, page in PAGES.items():
        for role in page.do:
            status = fleet.people[role].post(fleet.address(name)).status_code
            if status not in {200, 302, 303, 400, 404, 409}:
                faults.append((name, role, status))

    assert faults == []


def test_each_role_sees_its_pages_is_offered_what_it_may_do_and_is_refused_the_others(
    fleet: Fleet,
) -> None:
    faults = []
    for name, page in PAGES.items():
        address = fleet.address(name)
        for role, person in fleet.people.items():
            response = person.get(address, **fleet.query(name))
            expected = {200, 302} if role in page.see else {403 if page.see else 405}
            if response.status_code not in expected:
                faults.append((name, role, response.status_code))
            elif response.status_code == 200:
                faults += [
                    (name, role, each) for each in _unfit(fleet, text_of(response), role, address)
                ]

    assert faults == []


def _unfit(fleet: Fleet, text: str, role: str, address: str) -> Iterator[str]:
    """What this role's page must not have: another tenant's, and ways to what is refused."""
    others = (fleet.world.globex, fleet.world.mallory.username, SECRET)
    yield from (each for each in others if each in text)
    for method, offered in _offers(text, address):
        wanted = _page_at(offered)
        if wanted is None:
            continue
        allowed = PAGES[wanted].do if method == "post" else PAGES[wanted].see
        if role not in allowed:
            yield f"{method} {offered}"


class _Offers(HTMLParser):
    """The forms and links of a page: method and address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._offer(given.get("method", "get").lower(), given.get("action", ""))
        elif tag == "a" and "href" in given:
            self._offer("get", given["href"])
        elif "formaction" in given:
            self._offer("post", given["formaction"])

    def _offer(self, method: str, to: str) -> None:
        self.found.append((method, urlsplit(to).path or self._address))


def _offers(html: str, address: str) -> list[tuple[str, str]]:
    parser = _Offers(address)
    parser.feed(html)
    return parser.found


def _page_at(path: str) -> str | None:
    """The name of the tenant's page that is there, if it is one."""
    try:
        found: Any = resolve(path)
    except Resolver404:
        return None
    name = found.url_name or found.route
    return name if name in PAGES else None
