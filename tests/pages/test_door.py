"""Who comes in, where they land, and that nobody sees another tenant."""

import uuid
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import resolve

from agentmesh_site.admin_site import AgentMeshAdminSite
from events import tenants
from events.models import Event
from tests.pages.conftest import PASSWORD, SETUP, Person, World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids

PAGES = [
    "",
    "agents/",
    "agents/agent-1/",
    "agents/agent-1/timeline/",
    "agents/agent-1/history/",
    "new-agent/",
    "tasks/",
    "tasks/t-7/",
    "tasks/t-7/erase/",
    "new-task/",
    "import/",
    "events/",
    "events/{event}/",
    "alerts/",
    "proof/",
    "proof/verifications/",
    "proof/checkpoints/",
    "proof/bundle/",
    "members/",
    "tokens/",
]


def test_the_default_admin_site_is_ours() -> None:
    assert isinstance(admin.site, AgentMeshAdminSite)
    assert not admin.site._registry


def test_a_member_who_is_not_staff_signs_in_and_sees_the_dashboard(world: World) -> None:
    browser = Client()

    response = browser.post(
        "/admin/login/?next=/admin/",
        {"username": world.bob.username, "password": PASSWORD, "next": "/admin/"},
        follow=True,
    )

    assert response.redirect_chain == [("/admin/", 302)]
    assert "<h1>Dashboard</h1>" in text_of(response)
    assert world.acme in text_of(response)


def test_a_right_password_without_a_tenant_opens_nothing_and_says_whom_to_ask(
    person: Callable[..., Person],
) -> None:
    nobody = person("nobody")
    browser = Client()

    response = browser.post("/admin/login/", {"username": nobody.username, "password": PASSWORD})

    assert response.status_code == 200
    assert "You are a member of no tenant" in text_of(response)
    assert "_auth_user_id" not in browser.session


def test_whoever_was_suspended_can_still_sign_out(world: World) -> None:
    tenants.change_member(world.acme, world.bob.username, suspended=True, by=SETUP)

    assert world.bob.get(world.page()).status_code == 302
    assert world.bob.post("/admin/logout/").status_code == 200

    tenants.change_member(world.acme, world.bob.username, suspended=False, by=SETUP)
    assert world.bob.get(world.page()).status_code == 302  # to the login


def test_signing_out_needs_the_csrf_token(world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = world.bob.client.cookies

    assert browser.post("/admin/logout/").status_code == 403
    assert world.bob.get(world.page()).status_code == 200


def test_a_wrong_password_is_refused(world: World) -> None:
    response = Client().post("/admin/login/", {"username": world.bob.username, "password": "x"})

    assert response.status_code == 200
    assert "Please enter a correct username and password" in text_of(response)


@pytest.mark.parametrize("page", PAGES)
def test_whoever_is_not_signed_in_is_led_to_the_login_and_back(world: World, page: str) -> None:
    path = world.page(page.format(event=uuid.uuid4()))

    response = Client().get(path)

    assert response.status_code == 302
    assert response["Location"] == f"/admin/login/?next={path}"


@pytest.mark.parametrize("page", PAGES)
def test_mallory_sees_of_acme_what_she_would_see_if_it_did_not_exist(
    world: World, fresh_slug: Callable[[str], str], page: str
) -> None:
    world.create_agent()
    page = page.format(event=world.newest_event().event_id)

    theirs = world.mallory.get(world.page(page))
    absent = world.mallory.get(f"/admin/t/{fresh_slug('absent')}/{page}")

    assert (theirs.status_code, theirs.content) == (404, absent.content)
    assert absent.status_code == 404


@pytest.mark.parametrize("kind", ["agents/agent-1", "events/{event}"])
def test_mallory_finds_nothing_of_acme_under_her_own_tenant(world: World, kind: str) -> None:
    world.create_agent()
    path = kind.format(event=world.newest_event().event_id)

    theirs = world.mallory.get(f"/admin/t/{world.globex}/{path}/")
    absent = world.mallory.get(f"/admin/t/{world.globex}/agents/no-such-agent/")

    assert (theirs.status_code, theirs.content) == (404, absent.content)


@pytest.mark.parametrize("page", ["agents/", "events/", ""])
def test_nothing_of_acme_stands_on_a_page_of_globex(world: World, page: str) -> None:
    world.create_agent("secret-agent", name="Secret plan")

    text = text_of(world.mallory.get(f"/admin/t/{world.globex}/{page}"))

    assert "secret-agent" not in text
    assert "Secret plan" not in text
    assert world.acme not in text


def test_a_suspended_member_is_outside_at_once(world: World) -> None:
    tenants.change_member(world.acme, world.bob.username, suspended=True, by=SETUP)

    response = world.bob.get(world.page("agents/"))

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_a_suspended_member_of_one_tenant_still_enters_the_other(
    world: World, person: Callable[..., Person]
) -> None:
    dave = person("dave", **{world.acme: "operator", world.globex: "auditor"})
    tenants.change_member(world.acme, dave.username, suspended=True, by=SETUP)

    assert dave.get(world.page("agents/")).status_code == 404
    assert dave.get(f"/admin/t/{world.globex}/agents/").status_code == 200


def test_a_person_in_several_tenants_chooses_and_is_remembered(
    world: World, person: Callable[..., Person]
) -> None:
    dave = person("dave", **{world.acme: "operator", world.globex: "auditor"})

    first = dave.get("/admin/")
    choice = text_of(dave.get("/admin/tenants/"))
    dave.get(f"/admin/t/{world.globex}/")
    later = text_of(dave.get("/admin/"))

    assert (first.status_code, first["Location"]) == (302, "/admin/tenants/")
    assert f"/admin/t/{world.acme}/" in choice
    assert f"/admin/t/{world.globex}/" in choice
    assert f"/admin/t/{world.globex}/agents/" in later


def test_a_superuser_enters_every_tenant_and_the_tenant_learns_of_it_once(
    world: World, fresh_slug: Callable[[str], str]
) -> None:
    root = User.objects.create_superuser(fresh_slug("root"), password=PASSWORD)
    browser = Client()
    browser.force_login(root)

    assert browser.get(world.page("agents/")).status_code == 200
    assert browser.get(world.page("events/")).status_code == 200

    looks = Event.objects.filter(tenant=world.acme, type="TenantViewedBySuperuser")
    assert [look.actor for look in looks] == [f"user:{root.username}"]


def test_permalinks_lead_into_the_admin(world: World) -> None:
    world.create_agent()
    event_id = world.newest_event().event_id

    agent = world.carol.get(f"/t/{world.acme}/agents/agent-1")
    event = world.carol.get(f"/t/{world.acme}/events/{event_id}")

    assert (agent.status_code, agent["Location"]) == (302, world.page("agents/agent-1/"))
    assert (event.status_code, event["Location"]) == (302, world.page(f"events/{event_id}/"))


@pytest.mark.parametrize("kind", ["agents/agent-1", "events/{event}"])
def test_mallory_gets_from_a_permalink_what_an_absent_thing_gives(world: World, kind: str) -> None:
    world.create_agent()
    path = f"/t/{world.acme}/{kind.format(event=world.newest_event().event_id)}"
    absent_path = f"/t/{world.globex}/{kind.format(event=uuid.uuid4())}"

    theirs, absent = world.mallory.get(path), world.mallory.get(absent_path)

    assert (theirs.status_code, theirs.content) == (404, absent.content)
    assert absent.status_code == 404


def test_a_permalink_asks_a_stranger_to_sign_in_and_brings_them_back(world: World) -> None:
    path = f"/t/{world.acme}/agents/agent-1"

    response = Client().get(path)

    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={path}")


@pytest.mark.parametrize(
    "path",
    [
        "agents/currentagent/",
        "agents/currentagent/add/",
        "agents/currentagent/1/change/",
        "agents/currentagent/1/delete/",
        "agents/currentagent/1/history/",
        "events/event/",
        "events/event/add/",
        "events/event/1/change/",
        "events/event/1/delete/",
        "auth/user/add/",
        "auth/user/1/change/",
        "r/1/1/",
        "autocomplete/",
    ],
)
def test_there_is_no_address_that_edits_behind_the_logs_back(world: World, path: str) -> None:
    assert resolve(f"/admin/{path}").view_name == "admin:not_found"
    assert world.alice.get(f"/admin/{path}").status_code == 404
    assert world.alice.post(f"/admin/{path}").status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_every_page_keeps_to_the_policy_and_labels_its_fields(world: World, page: str) -> None:
    world.busy_agent()
    path = world.page(page.format(event=world.newest_event().event_id))

    response = world.alice.get(path)

    assert response.status_code == 200
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "no-store" in response["Cache-Control"]
    assert what_the_policy_forbids(text_of(response)) == []
    assert fields_without_label(text_of(response)) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/login/", 302),
        ("/admin/tenants/", 200),
        ("/admin/password_change/", 200),
        ("/admin/password_change/done/", 200),
        ("/admin/no/such/page/", 404),
        ("/no/such/page", 404),
    ],
)
def test_every_other_page_keeps_to_the_policy_too(world: World, path: str, status: int) -> None:
    response = world.alice.get(path)

    assert response.status_code == status
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert what_the_policy_forbids(text_of(response)) == []


def test_the_login_the_goodbye_and_a_refused_form_keep_to_the_policy(world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    pages = [
        Client().get("/admin/login/"),
        Client().post("/admin/login/", {"username": "x", "password": "y"}),
        strict.post("/admin/login/", {"username": "x", "password": "y"}),
        world.alice.post("/admin/logout/"),
    ]

    assert [page.status_code for page in pages] == [200, 200, 403, 200]
    assert [what_the_policy_forbids(text_of(page)) for page in pages] == [[]] * 4


def test_a_person_changes_their_password(world: World) -> None:
    new = "another long password 7"

    response = world.bob.post(
        "/admin/password_change/", old_password=PASSWORD, new_password1=new, new_password2=new
    )

    assert response.status_code == 302
    assert User.objects.get(username=world.bob.username).check_password(new)
