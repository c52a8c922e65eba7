"""CACHE_URL and EMAIL_URL as Django's settings. Their values may hold passwords: never quoted."""

from typing import Any

import environ

from agentmesh_site.environment import WrongSetting, split_url

LOCAL_ENTRIES = 100_000
ANSWERS_WITHIN_SECONDS = 0.2  # a cache that takes longer is none
CACHE_SCHEMES = frozenset({"redis", "rediss", "locmemcache"})
EMAIL_SCHEMES = frozenset({"smtp", "smtp+tls", "smtp+ssl", "smtps", "consolemail"})


def django_cache(url: str) -> dict[str, Any]:
    """The `default` entry of CACHES."""
    name = "CACHE_URL"
    parts = split_url(name, url)
    if parts.scheme not in CACHE_SCHEMES or (parts.scheme != "locmemcache" and not parts.netloc):
        raise WrongSetting(
            name,
            "is no cache that AgentMesh knows",
            "Give redis://host:6379/0 (rediss:// for TLS), or unset it for one cache per process.",
        )
    config: dict[str, Any] = environ.Env.cache_url_config(url)
    if parts.scheme != "locmemcache":
        config["BACKEND"] = "django.core.cache.backends.redis.RedisCache"
        config["OPTIONS"] = _patience() | config.get("OPTIONS", {})
    elif "OPTIONS" not in config:
        # Django's 300 would soon drop what keeps somebody from flooding a log.
        config["OPTIONS"] = {"MAX_ENTRIES": LOCAL_ENTRIES}
    return config


def _patience() -> dict[str, Any]:
    """Once more at once, for a connection that was cut while it rested; never again for one that
    does not answer, or a request would wait twice."""
    # Here, not above: it takes every process 0.1 s, and few installations have a Redis.
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as ConnectionLost
    from redis.retry import Retry

    return {
        "socket_timeout": ANSWERS_WITHIN_SECONDS,
        "socket_connect_timeout": ANSWERS_WITHIN_SECONDS,
        "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
    }


def django_email(url: str) -> dict[str, Any]:
    """The EMAIL_… settings."""
    name = "EMAIL_URL"
    parts = split_url(name, url)
    if parts.scheme not in EMAIL_SCHEMES or (parts.scheme != "consolemail" and not parts.hostname):
        raise WrongSetting(
            name,
            "is no mail server that AgentMesh knows",
            "Give smtp+tls://user:password@host:587, smtp+ssl://… or consolemail://.",
        )
    config: dict[str, Any] = environ.Env.email_url_config(url)
    if config.pop("OPTIONS", None) is not None:
        raise WrongSetting(name, "has parameters that Django does not know", "Remove them.")
    if config["EMAIL_PORT"] is None:
        config["EMAIL_PORT"] = {"smtp": 25, "smtp+ssl": 465}.get(parts.scheme, 587)
    return {key: value for key, value in config.items() if value is not None}
