"""One connection to one server of the broker. Its end is the end: a client that comes back by
itself would send what it had kept, and nobody could say behind which message."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.aio.client import Client

CONNECT_SECONDS = 2
CLOSE_SECONDS = 1.0
PING_SECONDS = 10
PORT = 4222

# What goes wrong between us and a server.
Trouble = (nats.errors.Error, OSError, TimeoutError, asyncio.TimeoutError)


class NoTLS(OSError):
    """The server offers no TLS, and the URL demands it."""

    def __init__(self) -> None:
        super().__init__("it offers no TLS, which tls:// in AGENTMESH_NATS_URL demands")


@dataclass(frozen=True, slots=True)
class Server:
    """An URL of AGENTMESH_NATS_URL, taken apart. `name` may be shown; the rest may not."""

    name: str
    tls: bool
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "Server":
        parts = urlsplit(url)
        host = parts.hostname or ""
        address = f"[{host}]" if ":" in host else host
        user, password = (None if each is None else unquote(each) for each in _login(parts.netloc))
        return cls(f"{address}:{parts.port or PORT}", parts.scheme == "tls", user, password)

    def without_secrets(self, text: str) -> str:
        for secret in (self.password, self.user):
            text = text.replace(secret, "***") if secret else text
        return text


def _login(netloc: str) -> tuple[str | None, str | None]:
    login, at, _ = netloc.rpartition("@")
    user, colon, password = login.partition(":")
    return user if at else None, password if colon else None


class Connection:
    """`client` is connected until `lost` is set."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = Client()
        self.lost = asyncio.Event()
        self._error: Exception | None = None

    async def open(self) -> None:
        """Raises one of Trouble."""
        scheme = "tls" if self.server.tls else "nats"
        login = {}
        if self.server.password is not None:
            login = {"user": self._user, "password": self._password}
        elif self.server.user is not None:
            login = {"token": self._user}
        try:
            await self.client.connect(
                [f"{scheme}://{self.server.name}"],
                name="agentmesh-relay",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=PING_SECONDS,
                error_cb=self._keep,
                closed_cb=self._lose,
                **login,  # type: ignore[arg-type]
            )
        except nats.errors.NoServersError as error:
            raise self._error or error from None
        self._check_tls()

    async def close(self) -> None:
        # A server that has stopped reading would have us wait for ever.
        with suppress(*Trouble):
            await asyncio.wait_for(self.client.close(), CLOSE_SECONDS)

    def _check_tls(self) -> None:
        # The client takes tls:// for a wish, and would send the password in the clear.
        if self.server.tls and not self.client._server_info.get("tls_required"):  # noqa: SLF001
            raise NoTLS

    def _user(self) -> str:
        self._check_tls()
        return self.server.user or ""

    def _password(self) -> str:
        return self.server.password or ""

    async def _lose(self) -> None:
        self.lost.set()

    async def _keep(self, error: Exception) -> None:
        """Whoever waits for what failed hears of it; the client would only log it once more."""
        self._error = error
