"""What a door is told: whether to go on, what is left, and when to come again."""

import uuid

import pytest
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from events.ratelimits import limiter
from events.ratelimits.counters import counter
from events.ratelimits.scopes import Scope


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    counter.cache_clear()
    settings.RATE_LIMITS = {"bulk": "100/minute", "login": "3/hour"}


@pytest.fixture
def somebody() -> str:
    return f"token:{uuid.uuid4()}"


def spend(who: str, cost: int = 1, paid: int = 0) -> tuple[bool, int]:
    standing = limiter.spend(Scope.BULK, who, cost, paid=paid)
    assert standing is not None
    return standing.is_allowed, standing.remaining


def test_what_has_no_limit_is_not_counted(somebody: str) -> None:
    assert limiter.spend(Scope.READ, somebody) is None


def test_a_request_pays_once_when_it_comes_and_for_its_items_when_they_are_known(
    somebody: str,
) -> None:
    assert spend(somebody) == (True, 99)
    assert spend(somebody, 60, paid=1) == (True, 40)
    assert spend(somebody) == (True, 39)
    assert spend(somebody, 1, paid=1) == (True, 39)
    assert spend(somebody, 0, paid=1) == (True, 39)
    assert spend(somebody, 41, paid=1) == (False, 39)


def test_what_is_larger_than_the_limit_takes_all_of_it(somebody: str) -> None:
    assert spend(somebody) == (True, 99)
    assert spend(somebody, 1_000, paid=1) == (True, 0)
    assert spend(somebody) == (False, 0)


def test_an_hours_limit_is_told_in_seconds(somebody: str) -> None:
    for _ in range(3):
        limiter.spend(Scope.LOGIN, somebody)
    refused = limiter.spend(Scope.LOGIN, somebody)
    assert refused is not None
    assert not refused.is_allowed
    assert refused.policy.window_seconds == 3_600
    assert 3_590 <= refused.retry_after_seconds <= 3_600
    assert 3_590 <= refused.reset_seconds <= 3_600


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("", "address:unknown"),
        ("unix:", "address:unknown"),
    ],
)
def test_who_is_nobody_yet_is_an_address(address: str, name: str) -> None:
    assert limiter.caller_at(RequestFactory(REMOTE_ADDR=address).get("/")) == name
