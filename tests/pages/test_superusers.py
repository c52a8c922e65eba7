"""Superusers see all tenants; that they look at one is a fact in its log. Nobody else learns of a
tenant that is not theirs."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agentmesh_site.dashboard import views
from events import seldom, tenants
from events.models import Event, Tenant
from tests.pages.conftest import PASSWORD, SETUP, Person, World, text_of
from tests.pages.test_roles import PAGES, Fleet, fleet

__all__ = ["fleet"]

LOOKS_IN = "You look in as superuser"


@pytest.fixture
def root(world: World, fresh_slug: Callable[[str], str]) -> Person:
    user = User.objects.create_superuser(fresh_slug("root"), password=PASSWORD)
    client = Client()
    client.force_login(user)
    return Person(user.username, client)


def looks(tenant: str) -> list[str]:
    events = Event.objects.filter(tenant=tenant, type="TenantViewedBySuperuser")
    return list(events.values_list("actor", flat=True))


def test_whichever_page_a_superuser_looks_at_the_log_tells_of_it_once_an_hour(
    fleet: Fleet, root: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    first: list[str] = []

    def anew(key: str, seconds: int) -> bool:
        """As if an hour had gone by before each page."""
        asked.append(seconds)
        first.append(key)
        return True

    monkeypatch.setattr(seldom, "is_first", anew)
    pages = [name for name, page in PAGES.items() if page.see and name.isidentifier()]
    silent = []
    for name in pages:
        before = len(looks(fleet.world.acme))
        response = root.get(fleet.address(name), **fleet.query(name))
        is_read = response.status_code == 200 and not response.streaming
        text = text_of(response) if is_read else ""
        if "<html" in text and LOOKS_IN not in text:
            silent.append((name, "no banner"))
        if len(looks(fleet.world.acme)) != before + 1:
            silent.append((name, "no fact"))

    assert silent == []
    assert set(asked) == {3600}
    assert set(looks(fleet.world.acme)) == {f"user:{root.username}"}


def test_a_second_look_within_the_hour_is_no_second_fact(world: World, root: Person) -> None:
    for page in ("", "agents/", "settings/"):
        assert LOOKS_IN in text_of(root.get(world.page(page)))
    root.post(world.page("members/add/"), username=world.mallory.username, role="auditor")

    assert looks(world.acme) == [f"user:{root.username}"]
    assert looks(world.globex) == []


def test_a_superuser_who_is_a_member_does_not_look_in(world: World, root: Person) -> None:
    tenants.add_member(world.acme, root.username, "auditor", by=SETUP)

    assert LOOKS_IN not in text_of(root.get(world.page()))
    assert LOOKS_IN in text_of(root.get(f"/admin/t/{world.globex}/"))
    assert looks(world.acme) == []

    tenants.change_member(world.acme, root.username, suspended=True, by=SETUP)
    assert LOOKS_IN in text_of(root.get(world.page()))
    assert len(looks(world.acme)) == 1


def test_the_list_of_tenants_tells_no_log_and_finds_by_slug_and_name(
    world: World, root: Person
) -> None:
    Tenant.objects.filter(slug=world.globex).update(name=f"Die Weltkugel {world.globex}")
    tenants.add_member(world.acme, root.username, "auditor", by=SETUP)
    mark = world.globex.partition("-")[2]

    by_slug = text_of(root.get("/admin/tenants/", q=world.acme))
    by_name = text_of(root.get("/admin/tenants/", q=f"weltkugel globex-{mark}"))
    nothing = text_of(root.get("/admin/tenants/", q="no such tenant"))

    assert "superuser, member as auditor" in by_slug
    assert world.globex not in by_slug
    assert f"/admin/t/{world.globex}/" in by_name
    assert f"/admin/t/{world.acme}/" not in by_name
    assert "No tenant matches." in nothing
    assert looks(world.acme) == looks(world.globex) == []


def test_others_find_their_own_tenants_alone(world: World) -> None:
    for query in ("", world.globex, world.globex[:6], "%", "_"):
        shown = text_of(world.bob.get("/admin/tenants/", q=query))
        assert f"/admin/t/{world.globex}/" not in shown
    assert world.globex not in text_of(world.bob.get("/admin/tenants/"))
    found = text_of(world.bob.get("/admin/tenants/", q=world.acme))
    assert f'href="/admin/t/{world.acme}/"' in found
    assert "superuser" not in found


def test_pages_of_tenants_follow_one_another(
    world: World,
    person: Callable[..., Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(views, "TENANTS_ON_PAGE", 1)
    dave = person("dave", **{world.acme: "operator", world.globex: "auditor"})

    first = dave.get("/admin/tenants/")
    second = dave.get("/admin/tenants/" + first.context["next"])

    assert [each.slug for each in first.context["tenants"]] == [world.acme]
    assert [each.slug for each in second.context["tenants"]] == [world.globex]
    assert second.context["next"] is None


def test_where_a_superuser_lands_is_the_choice(root: Person) -> None:
    response = root.get("/admin/")

    assert (response.status_code, response["Location"]) == (302, "/admin/tenants/")
