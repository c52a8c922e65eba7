"""What every route under /api/ has in common: who asks, what exists for them, what they may.

A refusal is the first that applies of 401, tenant 404, 429, object 404, 405, role 403, then what is
wrong with the request itself (406, 413, 415, 400), then 412 and 409. Whether the object exists is
asked only when something else would be refused, so that a good request pays for no second look.
"""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from events import access
from events.access import RIGHTS, Principal, Right
from events.api import strict_json
from events.api.authentication import name_of, principal_of, require_somebody
from events.api.fields import Nothing, Order, checked
from events.api.limits import headers_of, throttled
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import Shape
from events.api.problem import (
    Problem,
    forbidden,
    invalid_header,
    invalid_parameter,
    not_found,
)
from events.api.query import Query
from events.api.refusals import REFUSALS, Refusals
from events.log import read
from events.log.proposal import Context
from events.origin import CAUSATION, CORRELATION, context_of, correlation_id_of, is_trace_id
from events.ratelimits import limiter
from events.ratelimits.limiter import Standing
from events.ratelimits.scopes import Scope
from events.telling import also_tell
from events.tenants import is_slug

SEQ = "AgentMesh-Seq"
JSON = "application/json"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})


class Door(APIView):
    """A route for whoever is signed in. `known` and `repeatable` are its query's parameters."""

    known: ClassVar[Mapping[str, Collection[str]]] = {}  # method → parameters
    repeatable: ClassVar[Collection[str]] = ()
    format_kwarg = None  # the form is asked for with Accept alone
    is_admitted = False
    for_anybody = False  # without login
    orders: ClassVar[Mapping[str, type[Order]]] = {}  # method → what its body is
    # method → what a request is counted as, where it is more than one read or one write
    scopes: ClassVar[Mapping[str, Scope]] = {}
    refusals: ClassVar[Refusals] = REFUSALS
    most_body_bytes: ClassVar[int] = strict_json.MAX_BODY_BYTES
    # For the document of the API (docs/openapi.md): method → what the rest does not say, and those
    # parameters that mean something else here than on other paths.
    operations: ClassVar[Mapping[str, Operation]] = {}
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    bodies: ClassVar[Mapping[str, Shape]] = {}  # method → what its body is, where that is no Order

    @classmethod
    def takes(cls, method: str) -> tuple[str, ...]:
        """The request headers that mean something here."""
        return (CORRELATION, CAUSATION)

    @classmethod
    def may_refuse(cls, method: str) -> frozenset[str]:
        """The codes of the problems that the method may be answered with."""
        codes = {"invalid", "not_acceptable", "throttled", "unavailable"}
        if not cls.for_anybody:
            codes |= {"unauthenticated"}
        if method in WITH_A_BODY:
            codes |= {"too_large", "unsupported_media_type"}
        return frozenset(codes)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        self.http_request = request
        self.verb = "GET" if request.method == "HEAD" else request.method or ""
        self.correlation_id = correlation_id_of(request)
        self.standings: list[Standing] = []
        self._hold_body(request)
        return super().initialize_request(request, *args, **kwargs)

    def _hold_body(self, request: HttpRequest) -> None:
        """Read the body once, up to the limit, whether it came with its length or in chunks."""
        self.broken_body: Problem | None = None
        try:
            raw = strict_json.read_body(request, self.most_body_bytes)
            if raw is None:
                self.broken_body = strict_json.too_large(self.most_body_bytes)
        except Problem as broken:
            self.broken_body, raw = broken, b""
        self.raw_body = raw or b""
        request._body = self.raw_body  # noqa: SLF001 -- as Django keeps it
        request.META["CONTENT_LENGTH"] = str(len(self.raw_body))

    def initial(self, request: Request, *_: Any, **__: Any) -> None:
        if not self.for_anybody:
            self._require_somebody(request)
        self.admit(request)
        self.is_admitted = True
        if request.method not in self.allowed_methods:
            raise self._method_not_allowed()
        if request.method == "OPTIONS":
            return
        self.authorize(request)
        self.perform_content_negotiation(request)
        if self.broken_body is not None:
            raise self.broken_body
        self._check_trace_headers(request)
        self.query = Query.of(self.http_request, self.known.get(self.verb, ()), self.repeatable)

    def _require_somebody(self, request: Request) -> None:
        try:
            require_somebody(request)
        except Problem as refusal:
            is_wrong_token = refusal.status == HTTPStatus.UNAUTHORIZED and (
                "Authorization" in request.headers
            )
            if is_wrong_token:
                self.spend(Scope.LOGIN, limiter.caller_at(self.http_request))
            raise

    def admit(self, request: Request) -> None:
        """Raise not_found() when the path names a tenant or a thing that is not there for them, and
        throttled() for who asks too much: as soon as it is known who asks."""
        self.count(limiter.caller_at(self.http_request) if self.for_anybody else name_of(request))

    def count(self, who: str) -> None:
        """Count this request as theirs. Raises Problem (429)."""
        method = self.http_request.method or ""
        usual = Scope.READ if method in READING else Scope.WRITE
        self.spend(self.scopes.get(method, usual), who)

    def spend(self, scope: Scope, who: str, cost: int = 1, *, paid: int = 0) -> None:
        """Take `cost` units of theirs, of which some are paid. Raises Problem (429)."""
        standing = limiter.spend(scope, who, cost, paid=paid)
        if standing is None:
            return
        self.standings.append(standing)
        if not standing.is_allowed:
            raise throttled(standing)

    def authorize(self, request: Request) -> None:
        """Raise forbidden() when they may not."""

    def _method_not_allowed(self) -> Problem:
        allowed = ", ".join(self.allowed_methods)
        return Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method_not_allowed",
            f"This path takes {allowed}.",
            headers={"Allow": allowed},
        )

    def _check_trace_headers(self, request: Request) -> None:
        for header in (CORRELATION, CAUSATION):
            value = request.headers.get(header)
            if value is not None and not is_trace_id(value):
                raise invalid_header(header, "must be 1 to 255 printable ASCII characters.")

    def options(self, *_: Any, **__: Any) -> Any:
        return HttpResponse(
            status=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(self.allowed_methods)}
        )

    def order(self, request: Request) -> dict[str, Any]:
        """The body's fields, checked. An absent body is {}."""
        return checked(self.orders.get(self.verb, Nothing), request.data)

    def handle_exception(self, exc: Exception) -> HttpResponseBase:  # type: ignore[override]
        problem = self.problem_for(exc)
        if problem is None:
            raise exc
        if self.is_admitted and problem.status in AFTER_THE_OBJECT and not self.object_exists():
            problem = not_found()
        return problem.response()

    def object_exists(self) -> bool:
        """Whether what the path names is there for them; asked before another refusal is given."""
        return True

    def problem_for(self, error: Exception) -> Problem | None:
        """The refusal that an exception stands for; None for a fault of ours."""
        for kind, make in self.refusals:
            if isinstance(error, kind):
                return make(error)
        return None

    def finalize_response(  # type: ignore[override]
        self, _: Request, response: HttpResponseBase, *__: Any, **___: Any
    ) -> HttpResponseBase:
        response.headers.setdefault(CORRELATION, self.correlation_id)
        response.headers["Vary"] = "Accept, Authorization, Cookie"
        response.headers["Cache-Control"] = "no-store"
        for name, value in headers_of(self.standings).items():
            response.headers[name] = value
        return response

    def get_parsers(self) -> list[BaseParser]:
        return [strict_json.StrictJSONParser()]


# What is not said of a thing that is not there.
AFTER_THE_OBJECT = frozenset(
    {
        HTTPStatus.FORBIDDEN,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


class TenantDoor(Door):
    """A route of one tenant. `rights` says what each method asks for."""

    rights: ClassVar[Mapping[str, Right]] = {"GET": Right.READ}
    principal: Principal
    tenant: str

    @classmethod
    def takes(cls, method: str) -> tuple[str, ...]:
        return (*super().takes(method), "traceparent")

    @classmethod
    def may_refuse(cls, method: str) -> frozenset[str]:
        # What changes something is refused, too, to a browser that sends no CSRF token.
        open_to_all = method == "GET" and all(cls.rights[method] in has for has in RIGHTS.values())
        codes = {"not_found"} if open_to_all else {"not_found", "forbidden"}
        return super().may_refuse(method) | codes

    def admit(self, request: Request) -> None:
        self.tenant = self.kwargs["tenant"]
        principal = principal_of(request, self.tenant) if is_slug(self.tenant) else None
        if principal is None:
            raise not_found()
        self.principal = principal
        also_tell(actor=principal.actor, tenant=principal.tenant)
        self.count(self.who(request))
        access.record_superuser_view(self.principal, self.context())

    def who(self, request: Request) -> str:
        """Whose requests this one is counted among."""
        return name_of(request, self.tenant)

    def count_items(self, request: Request, items: int) -> None:
        """Of a request that was counted as one before its body was read. Raises Problem (429)."""
        self.spend(Scope.BULK, self.who(request), items, paid=1)

    def authorize(self, request: Request) -> None:
        right = self.rights[self.verb]
        if not self.principal.may(right):
            raise self.denied(request, f"The role {self.principal.role} may not do this.")

    def denied(self, request: Request, detail: str) -> Problem:
        """A refusal for want of a right, which the tenant's log keeps."""
        if self.object_exists():
            match = self.http_request.resolver_match
            route = f"/{match.route}" if match else request.path
            access.record_denial(self.principal, request.method or "", route, self.context())
        return forbidden(detail)

    def context(self, reason: str | None = None) -> Context:
        return context_of(self.http_request, self.principal.actor, reason, self.correlation_id)

    def head_seq(self) -> int:
        """The seq that everything read from now on reflects. Raises Problem (400) for a min_seq
        beyond it."""
        found = read.head(self.tenant)
        if found is None:
            raise not_found()
        wanted = self.query.whole("min_seq")
        # Rows are written with their events, so there is nothing to wait for.
        if wanted is not None and wanted > found.seq:
            raise invalid_parameter("min_seq", f"is beyond the head of the log, {found.seq}.")
        return found.seq


def json_response(
    body: bytes, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=JSON, headers=dict(headers or {}))
