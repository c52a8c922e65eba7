"""From a door to its operations in the document: drf-spectacular asks, the door has declared."""

import re
from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry

from events.api.door import JSON, WITH_A_BODY, Door, TenantDoor
from events.api.fields import Nothing
from events.api.openapi import orders, problems
from events.api.openapi.components import Components
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import PATH, QUERY
from events.api.openapi.shape import Schema

ANYBODY: list[Schema] = [{}]
READER: list[Schema] = [{"bearer": []}, {"session": []}]
WRITER: list[Schema] = [{"bearer": []}, {"session": [], "csrf": []}]
_IN_PATH = re.compile(r"{([^}]+)}")


class Undeclared(TypeError):
    """A route without what the document has to say of it: a fault of the release."""

    def __init__(self, door: type, what: str) -> None:
        super().__init__(f"{door.__qualname__} declares no {what}. See docs/openapi.md.")


class DoorSchema(AutoSchema):
    """What stands in REST_FRAMEWORK's DEFAULT_SCHEMA_CLASS."""

    def get_operation(
        self,
        path: str,
        path_regex: str,
        path_prefix: str,
        method: str,
        registry: ComponentRegistry,
    ) -> Schema | None:
        door = type(self.view)
        if not issubclass(door, Door):
            raise Undeclared(door, "Door")
        if door.operations.get(method) is None:
            raise Undeclared(door, f"operation for {method}")
        return _Writer(door, method, Components(registry)).operation(path)


class _Writer:
    """One operation as it is being written."""

    def __init__(self, door: type[Door], method: str, components: Components) -> None:
        self.door = door
        self.method = method
        self.components = components
        self.said: Operation = door.operations[method]

    def operation(self, path: str) -> Schema:
        written: Schema = {
            "operationId": self.said.id,
            "tags": [self.said.tag],
            "summary": self.said.summary,
            "description": self.said.description,
            "parameters": [*self._in_path(path), *self._in_query(), *self._in_headers()],
            "requestBody": self._body(),
            "security": self._security(),
            "responses": self._answers(),
        }
        return {key: value for key, value in written.items() if value}

    def _in_path(self, path: str) -> list[Schema]:
        return [self._parameter(name, "path", PATH) for name in _IN_PATH.findall(path)]

    def _in_query(self) -> list[Schema]:
        known = self.door.known.get(self.method, ())
        return [self._parameter(name, "query", QUERY) for name in known]

    def _parameter(self, name: str, place: str, shared: Any) -> Schema:
        own: Parameter | None = self.door.parameters.get(name)
        found = own or shared.get(name)
        if found is None:
            raise Undeclared(self.door, f"parameter {name}")
        return self.components.parameter(name, place, found, shared=own is None)

    def _in_headers(self) -> list[Schema]:
        names = list(self.door.takes(self.method))
        if self.said.has_etag and self.method == "GET":
            names.append("If-None-Match")
        return [self.components.request_header(name) for name in names]

    def _body(self) -> Schema | None:
        if self.method not in WITH_A_BODY:
            return None
        own = self.door.bodies.get(self.method)
        shape = own or orders.shape_of(self.door.orders.get(self.method, Nothing))
        content = {JSON: {"schema": self.components.schema(shape)}}
        return {"required": own is not None or "required" in shape.schema, "content": content}

    def _security(self) -> list[Schema]:
        if self.door.for_anybody:
            return ANYBODY
        return READER if self.method == "GET" else WRITER

    def _answers(self) -> dict[str, Schema]:
        found = {int(self.said.status): self._good()}
        if self.said.has_etag and self.method == "GET":
            found[HTTPStatus.NOT_MODIFIED] = self._unchanged()
        codes = self.door.may_refuse(self.method) | set(self.said.refuses)
        found |= problems.responses(self.components, codes)
        return {str(int(status)): found[status] for status in sorted(found)}

    def _good(self) -> Schema:
        content = self.said.content or {}
        if self.said.answer is not None:
            content = {JSON: self.said.answer, **content}
        written: Schema = {
            "description": self.said.status.phrase,
            "headers": self._headers(*self._headers_of_good()),
        }
        if content:
            written["content"] = {
                kind: {"schema": self.components.schema(shape)} for kind, shape in content.items()
            }
        return written

    def _headers_of_good(self) -> list[str]:
        names = ["X-Correlation-Id", "X-Request-Id"]
        if issubclass(self.door, TenantDoor):
            names.append("AgentMesh-Seq")
        if self.said.has_etag:
            names.append("ETag")
        if self.said.status == HTTPStatus.CREATED:
            names.append("Location")
        if "Idempotency-Key" in self.door.takes(self.method):
            names.append("Idempotent-Replayed")
        return [*names, "RateLimit", "RateLimit-Policy", *self.said.headers]

    def _unchanged(self) -> Schema:
        headers = self._headers(*self._headers_of_good())
        return {"description": "What you hold is still the same.", "headers": headers}

    def _headers(self, *names: str) -> Schema:
        return {name: self.components.header(name) for name in names}
