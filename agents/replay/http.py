"""A replay's orders, given to a running server over one connection.

Every order names an Idempotency-Key, so that one whose answer was lost is sent again and happens
once.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx
from msgspec import to_builtins

from agents.replay.fleet import Member, Standing, vitals
from agents.replay.pace import Pace, Tally
from agents.replay.service import INTERRUPTED
from agents.replay.simulation import Task

TRIES = 6
LONGEST_WAIT_SECONDS = 30.0
_AGAIN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_AGAIN_CODES = {"in_progress", "conflict"}


class ServerRefused(Exception):
    """The server cannot be used so; the message is one line that says why."""


class HttpOrders:
    """Carries orders out in a tenant of the server at `url`, as the token's principal."""

    def __init__(
        self,
        url: str,
        token: str,
        tenant: str,
        run: str,
        pace: Pace,
        tally: Tally,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = checked_url(url)
        self.tenant = tenant
        self.run = run
        self.tally = tally
        self.pace = pace
        self._sleep = sleep
        self._numbers = count(1)
        try:
            self._client = httpx.Client(
                base_url=f"{self.url}/api/v1/tenants/{tenant}/",
                headers={"Authorization": f"Bearer {token}"},
                timeout=30.0,
                transport=transport,
            )
        except (ValueError, UnicodeError):
            raise ServerRefused(
                "The token is none: it has other characters than a token."
            ) from None
        self._first_seq = self._head()

    def close(self) -> None:
        """Count what came into the log meanwhile, and hang up."""
        self.tally.events = self._head() - self._first_seq
        self._client.close()

    def wait_until(self, seconds: float) -> None:
        self.pace.wait_until(seconds)

    def find(self, agent_id: str) -> Standing | None:
        answer = self._send("GET", f"agents/{agent_id}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        agent = self._taken(answer)
        return Standing(agent["status"], agent["current_task_id"])

    def create(self, member: Member) -> bool:
        body = {
            "agent_id": member.agent_id,
            "name": member.name,
            "description": member.kind.description,
            "agent_type": member.kind.agent_type,
            "capabilities": to_builtins(member.kind.capabilities),
            "tags": list(member.tags),
        }
        return self._order("agents", body, f"{self.run}:create:{member.agent_id}")

    def activate(self, agent_id: str) -> bool:
        return self._order(f"agents/{agent_id}/activate", {}, f"{self.run}:activate:{agent_id}")

    def heartbeat(self, agent_id: str, load: float) -> bool:
        return self._order(
            f"agents/{agent_id}/heartbeat",
            {**vitals(agent_id, load)},
            f"seen:{next(self._numbers)}",
        )

    def assign(self, agent_id: str, task: Task) -> bool:
        body = {"task_id": task.task_id, "input": task.input}
        # A task that one agent refused is offered to the next: that is another request.
        key = f"{task.task_id}:assign:{next(self._numbers)}"
        return self._order(f"agents/{agent_id}/tasks", body, key, task.task_id)

    def finish(self, agent_id: str, task: Task) -> bool:
        if task.failure is not None:
            taken = self._fail(agent_id, task, task.failure.code, task.failure.message)
        else:
            body = {
                "execution_time_ms": task.takes_ms,
                "usage": to_builtins(task.usage),
            }
            path = f"agents/{agent_id}/tasks/{task.task_id}/complete"
            taken = self._order(path, body, f"{task.task_id}:complete", task.task_id)
        self.tally.end(failed=task.failure is not None, taken=taken)
        return taken

    def give_up(self, agent_id: str, task: Task) -> bool:
        return self._fail(agent_id, task, INTERRUPTED, "The replay was interrupted.")

    def _fail(self, agent_id: str, task: Task, code: str, message: str) -> bool:
        body = {"error_code": code, "error_message": message}
        path = f"agents/{agent_id}/tasks/{task.task_id}/fail"
        return self._order(path, body, f"{task.task_id}:{code}", task.task_id)

    def _head(self) -> int:
        answer = self._send("GET", "events?limit=1")
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise ServerRefused(f"{self.url} does not take this token. Issue one: create_token.")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise ServerRefused(f"{self.url} shows this token no tenant {self.tenant!r}.")
        head: int = self._taken(answer)["head"]
        return head

    def _order(
        self, path: str, body: dict[str, Any], key: str, correlation_id: str | None = None
    ) -> bool:
        headers = {"Idempotency-Key": key}
        if correlation_id:
            headers["X-Correlation-Id"] = correlation_id
        answer = self._send("POST", path, json=body, headers=headers)
        if answer.status_code in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            return False
        self._taken(answer)
        return True

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, after some more tries when there is none or it says to come again."""
        wait = 0.1
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._client.request(method, path, **request)
            except httpx.TransportError as error:
                if attempt == TRIES:
                    words = str(error) or type(error).__name__
                    raise ServerRefused(f"{self.url} does not answer: {words}") from error
            else:
                if attempt == TRIES or not _says_again(answer):
                    return answer
                wait = max(wait, _retry_after(answer))
            self._sleep(min(wait, LONGEST_WAIT_SECONDS))
            wait *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _taken(self, answer: httpx.Response) -> dict[str, Any]:
        """The body of a good answer. Raises ServerRefused for any other."""
        body = _body(answer)
        if answer.is_success and body is not None:
            return body
        if body is None:
            raise ServerRefused(
                f"{self.url} is no AgentMesh: it answers {answer.status_code} without JSON."
            )
        detail = body.get("detail") or body.get("title") or ""
        raise ServerRefused(f"{self.url} answers {answer.status_code}: {detail}")


def checked_url(url: str) -> str:
    """The URL of a server, without what follows its host. Raises ServerRefused."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ServerRefused(f"{url!r} is no address of a server, such as http://127.0.0.1:8000.")
    return f"{parts.scheme}://{parts.netloc}"


def _says_again(answer: httpx.Response) -> bool:
    if answer.status_code == HTTPStatus.CONFLICT:
        return (_body(answer) or {}).get("code") in _AGAIN_CODES
    return answer.status_code in _AGAIN


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _body(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
