import pytest

from agentmesh_site.cache_and_email import django_cache, django_email
from agentmesh_site.environment import WrongSetting


def test_a_cache_on_redis_keeps_its_place() -> None:
    config = django_cache("redis://:word@cache.example.org:6379/1")
    assert config["BACKEND"] == "django.core.cache.backends.redis.RedisCache"
    assert config["LOCATION"] == "redis://:word@cache.example.org:6379/1"


def test_a_redis_is_not_waited_for_longer_than_its_url_says() -> None:
    usual = django_cache("rediss://cache.example.org:6379/1")["OPTIONS"]
    said = django_cache("rediss://cache.example.org:6379/1?socket_timeout=3")["OPTIONS"]

    assert usual["socket_timeout"] == usual["socket_connect_timeout"] < 1
    assert (said["socket_timeout"], said["socket_connect_timeout"]) == (3, 0.2)


def test_a_cache_of_our_own_has_room_for_what_limits_floods() -> None:
    assert django_cache("locmemcache://")["OPTIONS"]["MAX_ENTRIES"] >= 100_000


@pytest.mark.parametrize("url", ["memcache://host", "redis://", "hunter2", "redis://host:x"])
def test_a_wrong_cache_url_is_named(url: str) -> None:
    with pytest.raises(WrongSetting, match=r"^CACHE_URL ") as refusal:
        django_cache(url)

    assert "hunter2" not in str(refusal.value)


def test_mail_goes_to_the_server_and_port_that_are_named_or_usual() -> None:
    named = django_email("smtp+tls://bob%40example.org:p%2Fw@mail.example.org:2525")
    usual = django_email("smtp+ssl://mail.example.org")

    assert named["EMAIL_HOST_USER"] == "bob@example.org"
    assert named["EMAIL_HOST_PASSWORD"] == "p/w"
    assert (named["EMAIL_PORT"], named["EMAIL_USE_TLS"]) == (2525, True)
    assert (usual["EMAIL_PORT"], usual["EMAIL_USE_SSL"]) == (465, True)


@pytest.mark.parametrize(
    "url", ["mailto:bob", "smtp://", "smtp://host:hunter2", "smtp://host?colour=hunter2"]
)
def test_a_wrong_email_url_is_named(url: str) -> None:
    with pytest.raises(WrongSetting, match=r"^EMAIL_URL ") as refusal:
        django_email(url)

    assert "hunter2" not in str(refusal.value)
