"""The headers, the first pages and the static files, as browsers, probes and proxies meet them."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from django.core.checks import run_checks
from django.db import connections
from django.test import Client, override_settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from agentmesh_site.handler import Handler

STYLESHEET = "/static/admin/css/base.css"
BEHIND_A_PROXY = override_settings(
    SECURE_SSL_REDIRECT=True, SECURE_HSTS_SECONDS=60, SESSION_COOKIE_SECURE=True
)


def get_over_asgi(path: str, *, peer: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """GET through the ASGI application as asgi.py builds it, with 10.0.0.7 for a proxy."""
    django: Any = Handler()  # afresh: middleware reads its settings when it is made
    application: Any = ProxyHeadersMiddleware(django, trusted_hosts=["10.0.0.7"])

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=application, client=(peer, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(get())


def test_the_process_says_that_it_lives_without_login_or_database() -> None:
    response = Client().get("/health/live")

    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert "no-store" in response["Cache-Control"]


def test_life_is_asked_for_not_posted() -> None:
    assert Client().post("/health/live").status_code == 405


def test_the_first_page_leads_to_the_admin() -> None:
    response = Client().get("/")

    assert (response.status_code, response["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("path", ["/health/live", "/admin/login/", STYLESHEET, "/no/such/page"])
@pytest.mark.usefixtures("committed_db")
def test_every_answer_keeps_the_browser_strict(path: str) -> None:
    with closing(Client().get(path)) as response:
        policy = response["Content-Security-Policy"]

    assert policy.startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "camera=()" in response["Permissions-Policy"]
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_the_event_loop_gives_the_same_strict_headers() -> None:
    response = get_over_asgi("/health/live")

    assert response.status_code == 200
    assert response.headers["content-security-policy"].startswith("default-src 'self';")


def test_static_files_come_without_collecting_and_whole() -> None:
    plain = Client().get(STYLESHEET).content
    response = get_over_asgi(STYLESHEET)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/css")
    assert response.content == plain
    assert b":root" in plain


def test_a_part_of_a_static_file_and_an_unchanged_one_are_answered_as_such() -> None:
    whole = get_over_asgi(STYLESHEET)

    part = get_over_asgi(STYLESHEET, Range="bytes=0-9")
    unchanged = get_over_asgi(STYLESHEET, **{"If-None-Match": whole.headers["etag"]})

    assert (part.status_code, part.content) == (206, whole.content[:10])
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_an_absent_static_file_is_not_found() -> None:
    assert get_over_asgi("/static/no/such.css").status_code == 404


@BEHIND_A_PROXY
def test_https_is_believed_of_a_trusted_proxy_alone() -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}

    trusted = get_over_asgi("/", peer="10.0.0.7", **headers)
    stranger = get_over_asgi("/", peer="192.0.2.9", **headers)

    assert trusted.headers["location"] == "/admin/"
    assert trusted.headers["strict-transport-security"] == "max-age=60"
    assert stranger.headers["location"] == "https://localhost/"


@BEHIND_A_PROXY
def test_a_probe_without_tls_is_not_redirected() -> None:
    assert get_over_asgi("/health/live").status_code == 200


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    yield
    connections.settings["default"]["ATOMIC_REQUESTS"] = False


@pytest.mark.usefixtures("atomic_requests")
def test_atomic_requests_are_refused_by_a_check_with_a_hint() -> None:
    (error,) = [each for each in run_checks() if each.id == "agentmesh.E001"]

    assert "ATOMIC_REQUESTS" in error.msg
    assert error.hint == "Remove ATOMIC_REQUESTS from DATABASES['default']."
