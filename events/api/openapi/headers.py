"""The headers that requests and answers may have, each with its shape and what it is for."""

from collections.abc import Mapping
from dataclasses import dataclass

from events.api.openapi.shape import TRUTH, Shape, text, whole


@dataclass(frozen=True)
class Header:
    """is_certain: of an answer that may have it, every one has it."""

    shape: Shape
    description: str
    is_certain: bool = True


_ASCII = text(least=1, most=255, pattern=r"^[\x20-\x7e]+$")

REQUEST: Mapping[str, Header] = {
    "X-Correlation-Id": Header(
        _ASCII, "Goes into every event of this request, and comes back; without it a new one does."
    ),
    "X-Causation-Id": Header(_ASCII, "What caused this request, such as an event's id."),
    "traceparent": Header(
        text(most=255),
        "W3C Trace Context. It goes into every event; a malformed one is left out.",
    ),
    "Idempotency-Key": Header(
        _ASCII,
        "The same request under the same key within 24 h gets its first answer again, and happens "
        "once. With another body: 422.",
    ),
    "If-Match": Header(
        text(most=255, pattern=r'^("[1-9][0-9]{0,18}"|\*)$'),
        "The `ETag` of the agent as you know it. When it has changed since: 412.",
    ),
    "If-None-Match": Header(text(), "An `ETag` that you hold: 304 when it is still the same."),
    "Last-Event-ID": Header(
        text(most=255), "The last `id` that you had of this stream. It goes before the parameters."
    ),
}
ANSWER: Mapping[str, Header] = {
    "X-Correlation-Id": Header(_ASCII, "The request's, or a new one."),
    "X-Request-Id": Header(_ASCII, "Of this request alone, by which its log lines are found."),
    "AgentMesh-Seq": Header(
        whole(),
        "The last seq that was written; on reads the seq that is reflected. Good for `min_seq`.",
    ),
    "ETag": Header(text(), "Good for `If-Match` or `If-None-Match`."),
    "Location": Header(text(), "Where what was created is."),
    "Idempotent-Replayed": Header(
        TRUTH, "`true`: the first answer again, and nothing happened.", is_certain=False
    ),
    "RateLimit": Header(text(), "What is left: draft-ietf-httpapi-ratelimit-headers.", False),
    "RateLimit-Policy": Header(text(), "What is allowed.", is_certain=False),
    "Retry-After": Header(whole(), "Seconds after which to try again."),
    "WWW-Authenticate": Header(text(), "How to say who asks."),
    "Content-Disposition": Header(text(), "The file's name."),
    "Allow": Header(text(), "The methods that the path has."),
}
