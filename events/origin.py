"""From a request to the Context of a command: who acts, from where, in which chain of causes."""

import json
import re
import uuid

from django.http import HttpRequest

from events.log.proposal import Context

CORRELATION = "X-Correlation-Id"
CAUSATION = "X-Causation-Id"
MOST_USER_AGENT = 500
_KEPT = "agentmesh.correlation_id"  # no header's name in META looks so

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
# W3C Trace Context: version ff and ids of zeros are invalid; only version 00 ends here.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def context_of(
    request: HttpRequest, actor: str, reason: str | None = None, correlation_id: str | None = None
) -> Context:
    """What is recorded with every event of a command that came with this request.

    The correlation id is the one given, else the header's, else a new one. A header that cannot be
    recorded is left out here; a door that wants to refuse it asks `is_trace_id` before.
    """
    return Context(
        actor=actor,
        reason=reason,
        correlation_id=correlation_id or correlation_id_of(request),
        causation_id=_trace_id(request, CAUSATION),
        traceparent=_traceparent(request),
        origin=origin_of(request),
    )


def correlation_id_of(request: HttpRequest) -> str:
    """The client's, when it can be recorded, else a new one; the same however often it is asked."""
    if _KEPT not in request.META:
        request.META[_KEPT] = _trace_id(request, CORRELATION) or uuid.uuid4().hex
    kept: str = request.META[_KEPT]
    return kept


def is_trace_id(text: str) -> bool:
    """1 to 255 printable ASCII characters."""
    return _PRINTABLE.fullmatch(text) is not None


def origin_of(request: HttpRequest) -> str:
    """Compact JSON: {"address": …, "user_agent": …}, each left out where it is not known."""
    user_agent = request.headers.get("User-Agent", "")[:MOST_USER_AGENT]
    known = {
        "address": address_of(request),
        "user_agent": _clean(user_agent),
    }
    said = {name: value for name, value in known.items() if value}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def address_of(request: HttpRequest) -> str:
    """The client's, as the ASGI door knows it (`agentmesh_site.asgi`); empty if it is not known."""
    return _clean(request.META.get("REMOTE_ADDR", ""))


def _trace_id(request: HttpRequest, header: str) -> str | None:
    value = request.headers.get(header, "")
    return value if is_trace_id(value) else None


def _traceparent(request: HttpRequest) -> str | None:
    # As the specification asks, a malformed one is not an error: the trace begins anew.
    value = request.headers.get("traceparent", "")
    return value if _TRACEPARENT.fullmatch(value) else None


def _clean(text: str) -> str:
    """Without NUL and lone surrogates, which no store keeps unchanged."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()
