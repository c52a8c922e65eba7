"""What the document says of a message, as a judge of real ones."""

from functools import cache
from typing import Any

import jsonschema_rs

from projections.asyncapi.document import document


def faults(message: str, part: str, value: Any) -> list[str]:
    """What is wrong with the `headers` or the `payload` of a message, a key of the components."""
    return [
        f"{message} {part} {each.instance_path}: {each.message[:200]}"
        for each in _validator(message, part).iter_errors(value)
    ]


@cache
def _validator(message: str, part: str) -> Any:
    described = document()["components"]["messages"][message][part]
    return jsonschema_rs.Draft7Validator(
        {"allOf": [described], "components": document()["components"]}, validate_formats=True
    )
