"""A small slice of `python -m tests.prove.openapi`: what the document allows, whatever it is, is
answered as the document says. Each answer is checked by `tests.api.documented`."""

from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.api.openapi.document import document
from tests.api.conftest import Caller

RESULTS: Any = schemathesis.openapi.from_dict(document()).get_all_operations()
OPERATIONS = [
    each
    for each in (result.ok() for result in RESULTS)
    # The stream has no end; a test client has no scope to open it in.
    if each.definition.raw["operationId"] != "follow_events"
]


@given(st.data())
@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_generated_request_is_answered_otherwise_than_documented(
    alice: Caller, data: st.DataObject
) -> None:
    operation: Any = data.draw(st.sampled_from(OPERATIONS))
    case = data.draw(operation.as_strategy())
    case.path_parameters["tenant"] = alice.tenant
    query = urlencode(case.query or {}, doseq=True)
    headers = {str(name): str(each) for name, each in (case.headers or {}).items()}
    body = None if isinstance(case.body, type(schemathesis.core.NOT_SET)) else case.body

    response = alice.request(
        case.method, case.formatted_path + (f"?{query}" if query else ""), body, **_plain(headers)
    )

    assert response.status_code < 500


def _plain(headers: dict[str, str]) -> dict[str, str]:
    return {name: each for name, each in headers.items() if name != "Content-Type"}
