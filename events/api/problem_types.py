"""What `type` of a problem leads to, /problems/<code>: what such a refusal means, and what to do.

The answer of a request says it of that request; this says it of all of them, to anybody.
"""

from typing import NamedTuple

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from events.api.problem import STATUSES, TITLES, not_found

KINDS = ("application/json", "text/html")  # the first for whoever takes anything
MAX_AGE_SECONDS = 300


class Words(NamedTuple):
    """For people. What stands between backticks is written as code."""

    meaning: str
    remedy: str


WORDS = {
    "invalid": Words(
        "Something in the request is not as it must be: its body, a parameter or a header. Nothing "
        "was done.",
        "Read `errors`: each names the place, as a JSON pointer into the body, a parameter or a "
        "header, and says what must be there. Send a corrected request; the same one again will "
        "be refused again.",
    ),
    "unauthenticated": Words(
        "No token came with the request, or one that opens nothing: unknown, expired or revoked.",
        "Send `Authorization: Bearer am_…` with a token of the tenant. An admin of the tenant "
        "makes one. In a browser, sign in.",
    ),
    "forbidden": Words(
        "You are known, and what you asked for is there, but your role may not do this. The tenant "
        "keeps a record of such attempts. A browser's session needs its CSRF token besides.",
        "Use a token whose role may, or ask an admin of the tenant for another role.",
    ),
    "not_found": Words(
        "There is nothing at this path, or nothing that you may see. The two are told apart to "
        "nobody.",
        "Check the path, which has no slash at its end, the id and the tenant: a token opens one "
        "tenant alone.",
    ),
    "method_not_allowed": Words(
        "The path is there, but not with this method.",
        "The header `Allow` names the methods that it takes.",
    ),
    "not_acceptable": Words(
        "The header `Accept` asks for a form in which there is no answer.",
        "Accept application/json, or leave the header out.",
    ),
    "rule_violated": Words(
        "A rule of the domain forbids it as things stand now. Nothing was done.",
        "`rule` names the rule and `detail` says what stands in the way; `current_task_id` is "
        "what the agent works on, where that is the reason. Read the thing anew, and decide anew.",
    ),
    "already_exists": Words(
        "There is one of this name or id already. Nothing was done.",
        "Choose another name, or read and change the one that is there. If this may have been your "
        "own request, sent twice, send an `Idempotency-Key` with each from now on.",
    ),
    "conflict": Words(
        "Others changed the same thing at the same moment, and were first several times in a row. "
        "Nothing was done.",
        "Send it again, after a short and random wait.",
    ),
    "in_progress": Words(
        "A request with this `Idempotency-Key` is still being worked on.",
        "Send it again a little later, with the same key: then you get the first one's answer.",
    ),
    "no_agent": Words(
        "No agent can take the task now. Nothing was assigned.",
        "The answer says of the agents why not: none has the capabilities, or those that have are "
        "busy, paused or unhealthy. Try again later, or ask for less.",
    ),
    "version_mismatch": Words(
        "The agent has changed since you read it: its version is not the one in your `If-Match`. "
        "Nothing was done.",
        "Read the agent again, decide again, and send the new `ETag`.",
    ),
    "too_large": Words(
        "The body, or one payload in it, is larger than what is taken.",
        "Send less at once. Keep large inputs and results elsewhere, and send where they are.",
    ),
    "unsupported_media_type": Words(
        "The body is not said to be JSON.",
        "Send JSON, with `Content-Type: application/json`.",
    ),
    "key_reused": Words(
        "This `Idempotency-Key` came before with another body. Nothing was done.",
        "Make a new key for each new request; use one again only to send the same request again.",
    ),
    "throttled": Words(
        "You asked for more than the limits of this installation allow. Nothing was done, and what "
        "is refused does not count.",
        "Wait as many seconds as `Retry-After` says. The headers `RateLimit-Policy` and "
        "`RateLimit` say with each answer what is allowed and what is left.",
    ),
    "unavailable": Words(
        "Something that the request needs does not answer now, or has not come far enough.",
        "Send it again after as many seconds as `Retry-After` says, under the same "
        "`Idempotency-Key` if it changes something.",
    ),
    "internal_error": Words(
        "The server failed. That is a fault of ours and not of the request.",
        "Send it again under the same `Idempotency-Key`: if it was done, you get its answer. "
        "Tell whoever runs the server the `X-Correlation-Id` if it happens again.",
    ),
}


@require_safe
@cache_control(public=True, max_age=MAX_AGE_SECONDS)
def problem_type(request: HttpRequest, code: str) -> HttpResponse:
    """A page for people, JSON for programs; no login."""
    wants_page = request.get_preferred_type(KINDS) == "text/html"
    if code not in TITLES:
        if wants_page:
            raise Http404
        return not_found().response()
    words, status = WORDS[code], STATUSES[code]
    if wants_page:
        context = {"code": code, "title": TITLES[code], "status": status}
        context |= {"paragraphs": [_parts(words.meaning), _parts(words.remedy)]}
        response = render(request, "problem_type.html", context)
    else:
        body = {
            "type": f"/problems/{code}",
            "title": TITLES[code],
            "status": status,
            "meaning": words.meaning,
            "remedy": words.remedy,
        }
        response = HttpResponse(msgspec.json.encode(body), content_type="application/json")
    response.headers["Vary"] = "Accept"
    return response


def _parts(text: str) -> list[tuple[bool, str]]:
    """(whether it is code, the part), in order."""
    return [(bool(place % 2), part) for place, part in enumerate(text.split("`"))]
