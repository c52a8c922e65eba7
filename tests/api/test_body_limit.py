"""A body that is too long is heard to its end, yet never handed to Django."""

import asyncio
from typing import Any, cast

import pytest

from agentmesh_site.body_limit import MAX_FILE_BODY_BYTES, THROWN_AWAY, BodyLimit, most_bytes

MOST = 10


def received(parts: list[bytes], path: str = "/api/x") -> tuple[list[bytes], int]:
    """What the application behind the limit is given, and how many messages the client sent."""
    sent = 0
    given: list[bytes] = []

    async def receive() -> Any:
        nonlocal sent
        if sent == len(parts):
            return {"type": "http.disconnect"}
        sent += 1
        return {"type": "http.request", "body": parts[sent - 1], "more_body": sent < len(parts)}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            given.append(message["body"])
            more = message["more_body"]
        assert (await receive())["type"] == "http.disconnect"

    def most(path: str) -> int | None:
        return MOST if path.startswith("/api/") else None

    limited = BodyLimit(cast("Any", application), most)
    asyncio.run(limited(cast("Any", {"type": "http", "path": path}), receive, cast("Any", None)))
    return given, sent


@pytest.mark.parametrize("parts", [[b""], [b"x" * MOST], [b"x" * 4, b"", b"x" * 6]])
def test_a_body_within_the_limit_passes(parts: list[bytes]) -> None:
    assert received(parts) == (parts, len(parts))


@pytest.mark.parametrize(
    "parts", [[b"x" * 11], [b"x" * 1000], [b"x" * 4, b"x" * 7, b"x"], [b"x" * 12] * 9]
)
def test_a_longer_one_is_cut_one_byte_beyond_it(parts: list[bytes]) -> None:
    given, sent = received(parts)
    assert len(b"".join(given)) == MOST + 1
    assert sent == len(parts)


def test_an_endless_one_is_refused_before_its_end() -> None:
    megabyte = b"x" * 1024 * 1024
    given, _ = received([megabyte] * (THROWN_AWAY // len(megabyte) + 50))
    assert len(b"".join(given)) == MOST + 1


def test_other_pages_are_not_concerned() -> None:
    assert received([b"x" * 1000], "/admin/")[0] == [b"x" * 1000]


@pytest.mark.parametrize("path", ["/admin/t/acme/import/", "/admin/t/acme/import/do/"])
def test_the_page_that_takes_a_file_has_a_limit_too(path: str) -> None:
    assert most_bytes(path) == MAX_FILE_BODY_BYTES
    assert most_bytes("/admin/t/acme/agents/") is None
