"""One POST to somewhere else.

    Outbound().post("https://hooks.example.org/alerts", body, headers)   → Answer

No redirect is followed, no proxy of the environment is used, no cookie is kept, no connection is
used twice. Only tests make one that allows other addresses; no setting does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from urllib.parse import urlsplit

import httpcore

from projections.outbound.addresses import addresses_of, is_public
from projections.outbound.connection import Allowance, CheckedBackend, Undelivered

SECONDS = 5.0  # for all of it: connecting, sending, the answer
MOST_BYTES = 64 * 1024  # of an answer with its headers; beyond them it is cut off
KEPT_BYTES = 4 * 1024  # of an answer's body
URL_LENGTH = 1_024


class BadUrl(ValueError):
    """Nothing can be posted there; the text says what the URL must be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """status: as it was given. body: its beginning, as far as it came in time."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@cache
def _trusted() -> SSLContext:
    import httpx  # only here: it brings a command line of its own, which every start would pay for

    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """How to post. allows: judges an address, as numbers. resolve: a name's addresses."""

    schemes: tuple[str, ...] = ("https",)
    allows: Callable[[str], bool] = is_public
    resolve: Callable[[str, int], list[str]] = addresses_of
    trusted: Callable[[], SSLContext] = _trusted
    seconds: float = field(default=SECONDS)

    def check(self, url: str) -> None:
        """Whether the URL can be posted to at all. Raises BadUrl. Resolves nothing."""
        if len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
            raise BadUrl(f"has at most {URL_LENGTH:,} printable ASCII characters, without spaces.")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadUrl("is no URL. Look at its host and port.") from None
        if parts.scheme not in self.schemes or not parts.hostname or port == 0:
            raise BadUrl(f"begins with {self.schemes[0]}:// and a host.")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise BadUrl("has no user name, no password and no fragment.")
        looks_like_an_address = ":" in parts.hostname or parts.hostname.replace(".", "").isdigit()
        if looks_like_an_address and not self.allows(parts.hostname):
            raise BadUrl("names an address that is not public.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Whatever status it was answered with. Raises Undelivered when there was no answer."""
        try:
            self.check(url)
        except BadUrl as wrong:
            raise Undelivered(f"The URL {wrong}") from None
        backend = CheckedBackend(Allowance(self.seconds, MOST_BYTES), self.allows, self.resolve)
        try:
            with (
                httpcore.ConnectionPool(self.trusted(), network_backend=backend) as pool,
                pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
            ):
                return Answer(response.status, _beginning(response))
        except httpcore.TimeoutException:
            raise Undelivered(f"There was no answer within {self.seconds:g} seconds.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise Undelivered(_in_words(error)) from None


def _beginning(response: httpcore.Response) -> bytes:
    kept = b""
    try:
        for chunk in response.iter_stream():
            kept += chunk
            if len(kept) >= KEPT_BYTES:
                break
    except (Undelivered, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass  # the status was given, and that is the answer
    return kept[:KEPT_BYTES]


def _in_words(error: Exception) -> str:
    if "CERTIFICATE" in str(error).upper():
        return "Its certificate is not valid for that name."
    if isinstance(error, httpcore.ProtocolError):
        return "What answered does not speak HTTP."
    return "The connection broke."
