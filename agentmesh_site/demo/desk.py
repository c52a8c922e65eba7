"""What a person at a desk does with the demo's fleets: ordinary requests, an ordinary token."""

import asyncio
import ssl
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

REST_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
_PAGE = "limit=1000"
_PASSING = (HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)
_tls: list[ssl.SSLContext] = []


class Refused(Exception):
    """The server does not take the token, or not the request."""


def client(url: str, tenant: str, token: str) -> httpx.AsyncClient:
    """Whoever holds the token, at the tenant's part of the API."""
    if not _tls:
        _tls.append(ssl.create_default_context())  # once: reading all authorities takes a while
    return httpx.AsyncClient(
        base_url=f"{url}/api/v1/tenants/{tenant}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_SECONDS,
        verify=_tls[0],
        trust_env=False,  # no proxy lies between this machine and itself
    )


class Desk:
    """Reads and orders. What only passes is waited for; a refusal by a rule is an answer."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def order(self, path: str, body: dict[str, Any], correlation_id: str = "") -> Any:
        """What was made of it; None when it was refused because of how things stand."""
        headers = {"Idempotency-Key": str(uuid4())}
        if correlation_id:
            headers["X-Correlation-Id"] = correlation_id
        answer = await self._send("POST", path, json=body, headers=headers)
        return answer.json() if answer.is_success else None

    async def revoke(self, token_id: str) -> None:
        await self._send("DELETE", f"tokens/{token_id}")

    async def all_of(self, path: str) -> list[dict[str, Any]]:
        """A list to its end. `path` may have a query."""
        joint = "&" if "?" in path else "?"
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            after = {"cursor": cursor} if cursor else {}
            query = str(httpx.QueryParams(after))
            page = (await self._send("GET", f"{path}{joint}{_PAGE}&{query}".rstrip("&"))).json()
            found += page["items"]
            cursor = page["next"]
        return found

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        prepared = self.http.build_request(method, path, **request)
        while True:
            try:
                answer = await self.http.send(prepared)
            except httpx.TransportError:
                await asyncio.sleep(REST_SECONDS)
                continue
            if answer.is_success or _is_settled(answer):
                return answer
            if answer.is_client_error and answer.status_code not in _PASSING:
                raise Refused(f"{method} {prepared.url}: {answer.status_code} {answer.text}")
            await asyncio.sleep(REST_SECONDS)


def _is_settled(answer: httpx.Response) -> bool:
    """Whether it was refused by how things stand, and not because others were quicker."""
    if answer.status_code != HTTPStatus.CONFLICT:
        return False
    return answer.json()["code"] not in ("conflict", "in_progress")
