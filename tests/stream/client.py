"""A client of the stream, as strict as the standard's text on Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE_SECONDS = 12.0
FROM_THE_BEGINNING = {"after": 0}


@dataclass(frozen=True, slots=True)
class Message:
    """What one blank line ends. id: the client's last event id after it; data None: nothing to hand
    over, as after a comment or a bare id."""

    id: str
    event: str = ""
    data: str | None = None
    comment: str | None = None
    retry_ms: int | None = None

    @property
    def json(self) -> Any:
        assert self.data is not None
        return json.loads(self.data)

    @property
    def seq(self) -> int:
        return int(self.id.partition("-")[0])

    @property
    def is_of_the_log(self) -> bool:
        return self.data is not None and not self.event.startswith("stream-")


def messages(lines: Iterator[str]) -> Iterator[Message]:
    last_id = ""
    fields: dict[str, Any] = {}
    heard = False
    for line in lines:
        if line == "":
            if heard:
                yield Message(last_id, **fields)
            fields, heard = {}, False
            continue
        heard = True
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "":
            fields["comment"] = value
        elif name == "data":
            assert "data" not in fields, "an event's data is one line"
            fields["data"] = value
        elif name == "id":
            last_id = value
        elif name == "retry":
            fields["retry_ms"] = int(value)
        else:
            assert name == "event", line
            fields["event"] = value


@contextmanager
def listening(
    base_url: str,
    tenant: str,
    token: str | None,
    *,
    last_event_id: str | None = None,
    cookies: dict[str, str] | None = None,
    query: Mapping[str, str | int] | None = None,
) -> Iterator[Iterator[Message]]:
    """The messages of one connection, as they come; ends with the connection."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    path = f"/api/v1/tenants/{tenant}/stream"
    with (
        httpx.Client(base_url=base_url, timeout=PATIENCE_SECONDS, cookies=cookies) as client,
        client.stream("GET", path, headers=headers, params=query) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream"
        yield messages(_lines(response.iter_bytes()))


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Not httpx's lines, which end at U+2028 and others that the standard does not name."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in lines)


def until(stream: Iterator[Message], seq: int) -> list[Message]:
    """The events of the log that come until the position is `seq`."""
    found = []
    for message in stream:
        if message.is_of_the_log:
            found.append(message)
        if message.seq >= seq:
            return found
    raise AssertionError(f"the stream ended before {seq}, after {found[-1:]}")
