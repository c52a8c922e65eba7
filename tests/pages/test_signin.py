"""What a sign-in leaves in the log, and that it needs no log to succeed."""

import logging
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
import pytest
from django.contrib.auth.hashers import check_password
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from events import access, signin, tenants
from events.models import Event
from events.ratelimits.counters import counter
from tests.pages.conftest import PASSWORD, SETUP, Person, World


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


def sign_in(username: str, password: str = PASSWORD) -> Any:
    return Client(headers={"user-agent": "Browser/1"}).post(
        "/admin/login/?next=/admin/", {"username": username, "password": password}
    )


def recorded(tenant: str, kind: str) -> list[Event]:
    return list(Event.objects.filter(tenant=tenant, type=kind).order_by("seq"))


def fails(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("no log today")


def test_a_sign_in_says_who_and_from_where(world: World) -> None:
    before = len(recorded(world.acme, "SignedIn"))

    assert sign_in(world.bob.username).status_code == 302

    event = recorded(world.acme, "SignedIn")[before]
    assert event.actor == f"user:{world.bob.username}"
    assert event.origin is not None
    assert msgspec.json.decode(event.origin) == {
        "address": "127.0.0.1",
        "user_agent": "Browser/1",
    }


def test_a_wrong_password_is_recorded_once_a_minute_and_is_nobodys_deed(world: World) -> None:
    for _ in range(3):
        assert sign_in(world.bob.username, "wrong").status_code == 200

    (event,) = recorded(world.acme, "SignInFailed")
    assert event.actor == "system:sign-in"
    assert world.bob.username in event.data
    assert event.origin is not None
    assert "127.0.0.1" in event.origin


def test_a_flood_of_other_names_does_not_let_one_flood_the_log(world: World) -> None:
    sign_in(world.bob.username, "wrong")
    for number in range(1_000):
        signin._sign_in_failed({"username": f"nobody-{number}"})
    sign_in(world.bob.username, "wrong")

    assert len(recorded(world.acme, "SignInFailed")) == 1


def test_a_suspended_members_sign_ins_are_no_longer_the_tenants_business(
    world: World, person: Callable[..., Person]
) -> None:
    dave = person("dave", **{world.acme: "operator", world.globex: "operator"})
    tenants.change_member(world.globex, dave.username, suspended=True, by=SETUP)
    acme, globex = (len(recorded(each, "SignedIn")) for each in (world.acme, world.globex))

    sign_in(dave.username)

    assert len(recorded(world.acme, "SignedIn")) == acme + 1
    assert len(recorded(world.globex, "SignedIn")) == globex


def test_nobody_is_locked_out_because_nothing_can_be_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signin, "record", fails)

    assert sign_in(world.bob.username, "wrong").status_code == 200
    assert sign_in(world.bob.username).status_code == 302


def test_a_refusal_stands_though_it_cannot_be_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "record", fails)

    assert world.bob.post(world.page("members/add/")).status_code == 403


def test_a_superuser_does_not_look_in_unseen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.carol.client.get(world.page()).wsgi_request.user
    user.is_superuser = True
    user.save()
    tenants.remove_member(world.acme, user.username, by=SETUP)
    with monkeypatch.context() as broken:
        broken.setattr(access, "record", fails)
        with pytest.raises(RuntimeError):
            world.carol.get(world.page())

    assert world.carol.get(world.page()).status_code == 200
    assert len(recorded(world.acme, "TenantViewedBySuperuser")) == 1


def test_what_clients_do_wrong_is_not_in_the_operators_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "root"):
        assert world.mallory.get(world.page()).status_code == 404
        assert world.bob.post(world.page("members/add/")).status_code == 403
        assert Client().get("/api/v1/me").status_code == 401

    assert not [record for record in caplog.records if record.name == "django.request"]


class TestManyAttempts:
    @pytest.fixture(autouse=True)
    def limits(self, settings: Settings) -> None:
        counter.cache_clear()
        settings.RATE_LIMITS = {"login": "2/minute"}

    def test_are_told_when_to_try_again_and_no_password_is_looked_at(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[str] = []

        def looks(password: str, *others: Any) -> bool:
            looked.append(password)
            return check_password(password, *others)

        monkeypatch.setattr("django.contrib.auth.base_user.check_password", looks)
        for _ in range(2):
            assert sign_in(world.bob.username, "wrong").status_code == 200
        response = sign_in(world.bob.username)

        assert response.status_code == 429
        assert 1 <= int(response["Retry-After"]) <= 120
        page = response.content.decode()
        assert f"try again in {response['Retry-After']} second" in page
        assert f'value="{world.bob.username}"' in page
        assert PASSWORD not in page
        assert looked == ["wrong", "wrong"]
        assert "no-store" in response["Cache-Control"]

    def test_from_elsewhere_are_counted_apart(self, world: World) -> None:
        for _ in range(3):
            sign_in(world.bob.username, "wrong")
        elsewhere = Client(REMOTE_ADDR="192.0.2.9")
        form = {"username": world.bob.username, "password": PASSWORD}
        assert elsewhere.post("/admin/login/?next=/admin/", form).status_code == 302

    def test_leave_the_page_itself_and_who_is_in_alone(self, world: World) -> None:
        for _ in range(3):
            sign_in(world.bob.username, "wrong")
        assert Client().get("/admin/login/").status_code == 200
        assert world.bob.get(world.page()).status_code == 200

    def test_name_nobody_and_bring_nothing_of_the_sender_onto_the_page(self, world: World) -> None:
        for _ in range(2):
            sign_in("x", "wrong")
        response = sign_in("<script>x\0", "wrong")
        assert response.status_code == 429
        assert b"<script>x" not in response.content


def test_without_a_limit_attempts_are_not_counted(world: World) -> None:
    for _ in range(30):
        assert sign_in(world.bob.username, "wrong").status_code == 200
