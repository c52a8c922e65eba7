"""Members, as a tenant's admin manages them."""

import re
from collections.abc import Callable

import pytest

from events.models import Membership
from events.pages import people
from tests.pages.conftest import Person, World, text_of

ADMIN_POSTS = ["members/add/", "members/change/"]


def role_of(world: World, person: Person) -> str | None:
    found = Membership.objects.filter(tenant=world.acme, user__username=person.username).first()
    return found.role if found else None


@pytest.mark.parametrize("who", ["bob", "carol"])
def test_operators_and_auditors_see_who_has_access_and_are_offered_no_change(
    world: World, who: str
) -> None:
    person: Person = getattr(world, who)

    response = person.get(world.page("members/"))

    assert response.status_code == 200
    (main,) = re.findall(r"<main.*?</main>", text_of(response), re.DOTALL)
    assert "<form" not in main
    assert world.page("members/") in text_of(person.get(world.page()))


@pytest.mark.parametrize("path", ADMIN_POSTS)
def test_only_an_admin_changes_members(world: World, path: str) -> None:
    values = {"username": world.mallory.username, "role": "admin"}

    assert world.bob.post(world.page(path), **values).status_code == 403
    assert world.carol.post(world.page(path), **values).status_code == 403
    assert world.mallory.post(world.page(path), **values).status_code == 404
    assert role_of(world, world.mallory) is None


def test_an_admin_adds_a_person_who_has_an_account(world: World) -> None:
    response = world.alice.post(
        world.page("members/add/"), username=world.mallory.username, role="auditor"
    )

    assert response.status_code == 302
    assert role_of(world, world.mallory) == "auditor"
    event = world.newest_event()
    assert (event.type, event.actor) == ("MemberAdded", f"user:{world.alice.username}")


def test_a_person_without_an_account_is_refused_with_a_way_on(
    world: World, fresh_slug: Callable[[str], str]
) -> None:
    response = world.alice.post(
        world.page("members/add/"), username=fresh_slug("nobody"), role="auditor"
    )

    assert response.status_code == 400
    assert "Use create_member, which makes the account." in text_of(response)


def test_a_role_is_changed_a_member_suspended_let_in_and_removed(world: World) -> None:
    path, who = world.page("members/change/"), {"username": world.bob.username}

    world.alice.post(path, **who, do="role", role="auditor")
    assert role_of(world, world.bob) == "auditor"
    world.alice.post(path, **who, do="suspend")
    assert Membership.objects.get(tenant=world.acme, user__username=world.bob.username).suspended
    world.alice.post(path, **who, do="let-in")
    assert world.bob.get(world.page()).status_code == 200
    world.alice.post(path, **who, do="remove")
    assert role_of(world, world.bob) is None


@pytest.mark.parametrize(
    "values", [{"do": "role", "role": "king"}, {"do": "role"}, {"do": "\0"}, {}]
)
def test_a_change_that_means_nothing_is_refused(world: World, values: dict[str, str]) -> None:
    response = world.alice.post(
        world.page("members/change/"), username=world.bob.username, **values
    )

    assert response.status_code == 400
    assert role_of(world, world.bob) == "operator"


def test_changing_somebody_who_is_no_member_is_refused(world: World) -> None:
    for username in (world.mallory.username, "no such person", "a\0b", ""):
        response = world.alice.post(world.page("members/change/"), username=username, do="remove")
        assert response.status_code == 400
        assert "is no member of" in text_of(response)


def test_a_long_list_goes_on_where_it_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PAGE", 2)
    _ = world.carol  # a third member
    first = world.alice.get(world.page("members/")).context
    second = world.alice.get(world.page("members/") + first["next"]).context

    assert len(first["members"]) == 2
    assert len(second["members"]) == 1
