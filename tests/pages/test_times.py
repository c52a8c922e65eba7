"""In which zone moments are shown and typed: the tenant's, UTC, or the device's."""

import re

import pytest

from events.pages.zones import COOKIE
from events.tenant_settings import change_settings
from tests.pages.conftest import SETUP, World, text_of

TIME = re.compile(r'<time datetime="([^"]+)" title="([^"]+)">([^<]+) <span class="offset">([^<]+)')


def times(world: World) -> list[tuple[str, str, str, str]]:
    return TIME.findall(text_of(world.bob.get(world.page("agents/agent-1/"))))


@pytest.fixture
def summer(world: World) -> World:
    world.create_agent()
    change_settings(world.acme, time_zone="Asia/Kolkata", by=SETUP)
    return world


def test_moments_are_in_the_tenants_zone_and_the_absolute_one_is_there(summer: World) -> None:
    machine, absolute, shown, offset = times(summer)[0]

    assert machine.endswith("+00:00")
    assert absolute.endswith(" UTC")
    assert absolute[:10] == machine[:10]
    assert offset == "+05:30"
    assert shown[11:16] != absolute[11:16]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", shown)


def test_a_person_may_read_utc_or_their_devices_zone_instead(summer: World) -> None:
    page = summer.page("agents/agent-1/")

    back = summer.bob.post("/admin/times/", times="utc", next=page)
    assert (back.status_code, back["Location"]) == (302, page)
    assert times(summer)[0][3] == "UTC"

    summer.bob.post("/admin/times/", times="device", device_zone="America/St_Johns", next=page)
    assert times(summer)[0][3] in ("-03:30", "-02:30")

    summer.bob.post("/admin/times/", times="tenant", next=page)
    assert times(summer)[0][3] == "+05:30"


@pytest.mark.parametrize(
    "choice",
    [
        {"times": "device", "device_zone": "../../etc/passwd"},
        {"times": "device", "device_zone": "Mars/Olympus\0"},
        {"times": "device"},
        {"times": "sundial"},
        {},
    ],
)
def test_a_choice_that_means_nothing_changes_nothing(summer: World, choice: dict[str, str]) -> None:
    back = summer.bob.post("/admin/times/", **choice, next="//elsewhere.example/")

    assert (back.status_code, back["Location"]) == (302, "/")
    assert COOKIE not in back.cookies
    assert times(summer)[0][3] == "+05:30"


def test_a_spoilt_cookie_is_as_good_as_none(summer: World) -> None:
    for spoilt in ("device:../x", "device:", "\u00e9", "utc2", "x" * 5000):
        summer.bob.client.cookies[COOKIE] = spoilt
        assert times(summer)[0][3] == "+05:30"
