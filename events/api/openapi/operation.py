"""What a door says of a method beyond `rights`, `known` and `orders`, for the API's document.

    operations = {"POST": Operation("pause_agent", "agents", "Pause an agent", answer=AGENT)}

All else (parameters, headers, refusals, security) is derived from the door: `openapi.autoschema`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from events.api.openapi.shape import Shape


@dataclass(frozen=True)
class Operation:
    """id: unique, as the service is called. description: Markdown, for who calls it."""

    id: str
    tag: str
    summary: str
    description: str = ""
    answer: Shape | None = None  # None: no body
    status: HTTPStatus = HTTPStatus.OK  # 201 has a Location
    content: Mapping[str, Shape] | None = None  # media type → shape, where it is not JSON alone
    has_etag: bool = False  # a GET then takes If-None-Match and may be 304
    headers: Collection[str] = ()  # of the answer, beyond those that `openapi.headers` knows
    refuses: Collection[str] = ()  # codes of problems beyond those that the door may answer anyway


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query or of the path, where it is always required. A list is written with
    commas, unless it is `repeated`."""

    shape: Shape
    description: str
    repeated: bool = False
    required: bool = False
