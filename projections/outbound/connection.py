"""A connection to the address that was checked, within a deadline and a number of bytes.

The name is resolved once for each connection, here, and what is connected to is one of the very
addresses that were judged: a name that means something else a moment later changes nothing. TLS and
the Host header keep the name.
"""

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

ADDRESSES_TRIED = 3


class Undelivered(Exception):
    """The request was not answered as it should be. The text is one line for whoever named the
    address; nothing of what stood behind it is in there."""


class Allowance:
    """What one request may take. Every stream of its connection draws on it."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._bytes = most_bytes

    def remaining_seconds(self) -> float:
        """More than nothing. Raises Undelivered when the time is over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise Undelivered(f"There was no whole answer within {self._seconds:g} seconds.")
        return left

    def take(self, number: int) -> None:
        self._bytes -= number
        if self._bytes < 0:
            raise Undelivered("The answer is longer than anybody would read.")


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to allowed addresses alone."""

    def __init__(
        self,
        allowance: Allowance,
        allows: Callable[[str], bool],
        resolve: Callable[[str, int], list[str]],
    ) -> None:
        self._allowance = allowance
        self._allows = allows
        self._resolve = resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        for address in self._addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, timeout=self._allowance.remaining_seconds()
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            return _Stream(stream, self._allowance)
        raise Undelivered(f"Nothing at {host} takes connections on port {port}.")

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise Undelivered(f"The name {host} has no address.")
        # One that is not public is reason enough: whoever answers so is not to be trusted with
        # another attempt. Which one it is says nothing here, since that is an answer to a question.
        if not all(map(self._allows, addresses)):
            raise Undelivered(f"{host} has an address that is not public.")
        return addresses[:ADDRESSES_TRIED]


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        received = self._stream.read(max_bytes, self._allowance.remaining_seconds())
        self._allowance.take(len(received))
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._allowance.remaining_seconds())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        encrypted = self._stream.start_tls(
            ssl_context, server_hostname, self._allowance.remaining_seconds()
        )
        return _Stream(encrypted, self._allowance)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
