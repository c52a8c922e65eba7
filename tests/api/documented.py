"""Every answer of the API against its own document: status, content type, headers and shape.

`tests.api.conftest` lets all requests of this folder's tests pass here, so that what the document
promises is proven by whatever is tested anyway.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from events.api.openapi.document import document

PROBLEM = "application/problem+json"
# Of a path, whatever the method: what no operation can have.
NO_OPERATION = {401, 403, 404, 405, 413, 429, 503}
FAULT = 500  # of ours, in tests that bring it about; nowhere documented
# What the layers above every view add.
NOT_DOCUMENTED = {
    *("cache-control", "content-length", "content-security-policy", "content-type", "vary"),
    *("cross-origin-opener-policy", "cross-origin-resource-policy"),
    *("permissions-policy", "referrer-policy"),
    *("x-content-type-options", "x-frame-options", "set-cookie", "x-accel-buffering", "accept"),
}


def check(method: str, path: str, response: HttpResponseBase) -> None:
    """AssertionError for an answer that the document does not have."""
    if method == "OPTIONS" and response.status_code == 204:
        return
    template = template_of(path)
    verb = "get" if method == "HEAD" else method.lower()
    operation = document()["paths"].get(template, {}).get(verb)
    if operation is None or response.status_code == FAULT:
        assert response.status_code in {*NO_OPERATION, FAULT}, f"{path}: {response.status_code}"
        _valid({"$ref": "#/components/schemas/Problem"}, _json(response), method, template)
        return
    status = str(response.status_code)
    assert status in operation["responses"], f"{method} {template} may not answer {status}."
    described = _resolved(operation["responses"][status])
    _check_headers(described.get("headers", {}), response.headers, f"{method} {template} {status}")
    if method != "HEAD":
        _check_content(described.get("content"), response, method, template)


def template_of(path: str) -> str:
    """`/api/v1/tenants/{tenant}/agents` for the path of a request."""
    try:
        route = resolve(path).route
    except Resolver404:
        return ""
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def _check_headers(described: Mapping[str, Any], given: Mapping[str, str], where: str) -> None:
    for name, reference in described.items():
        header = _resolved(reference)
        assert name in given or not header["required"], f"{where} has no {name}."
        if name in given:
            _valid_header(header["schema"], given[name], f"{where} {name}")
    known = {name.lower() for name in described} | NOT_DOCUMENTED
    unknown = {name.lower() for name in given} - known
    assert not unknown, f"{where}: {unknown} are in no document."


def _valid_header(schema: Mapping[str, Any], text: str, where: str) -> None:
    value: Any = json.loads(text) if schema.get("type") in ("integer", "boolean") else text
    _valid(schema, value, where, "")


def _check_content(
    described: Mapping[str, Any] | None, response: HttpResponseBase, method: str, path: str
) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if described is None:
        assert not kind, f"{method} {path}: {kind} is not documented"
        return
    assert kind in described, f"{method} {path}: {kind} is not documented"
    if kind.endswith(("/json", "+json")):
        _valid(described[kind]["schema"], _json(response), method, path)


def _json(response: HttpResponseBase) -> Any:
    return json.loads(response.content)  # type: ignore[attr-defined]


def _resolved(described: dict[str, Any]) -> dict[str, Any]:
    reference = described.get("$ref")
    if reference is None:
        return described
    found: Any = document()
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    resolved: dict[str, Any] = found
    return resolved


def _valid(schema: Mapping[str, Any], value: Any, *where: str) -> None:
    errors = [
        f"{each.instance_path}: {each.message[:300]}"
        for each in _validator(json.dumps(schema)).iter_errors(value)
    ]
    assert not errors, f"{' '.join(where)} is not as documented: {errors[:5]}"


@cache
def _validator(schema: str) -> Any:
    whole = {**json.loads(schema), "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
