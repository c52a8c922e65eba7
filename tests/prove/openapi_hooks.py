"""What schemathesis has to know of AgentMesh beyond the document; it imports this by itself.

Where an operation needs something to be there (an agent that is paused, a task that runs), every
other positive request finds it made just before, so that not all of them are 404 and 409. What a
schema cannot say (a seq is not beyond the head) may be refused, and only that. docs/openapi.md
says which checks of schemathesis stand here in another form, and why.
"""

import itertools
import json
import os
from typing import Any

import httpx
import schemathesis
from schemathesis.core.parameters import ParameterLocation

API = os.environ["PROVE_API"]  # …/api/v1/tenants/acme
TOKEN = os.environ["PROVE_TOKEN"]  # an admin's, whoever is proven
KEPT = set(os.environ["PROVE_KEEP"].split(","))  # tokens that are not to be revoked, and a member
TASKS = ("complete_task", "fail_task", "read_task", "erase_task")
ACTIVE = (*TASKS, "pause_agent", "resume_agent", "record_heartbeat", "record_health_failure",
          "assign_task", "terminate_agent")  # fmt: skip
WITH_AGENT = (*ACTIVE, "activate_agent", "add_capability", "upgrade_capability", "read_agent",
              "update_agent", "diff_agent", "list_agent_events", "list_agent_tasks",
              "erase_agent")  # fmt: skip
# What no schema says: which values exist, and which go together.
OF_THE_LOG = {"cursor", "version", "seq", "min_seq", "at", "from", "to", "since",
                            "until", "after", "bucket", "lastEventId"}  # fmt: skip
TOO_LONG = ("is beyond 64 bits.", "A number has at most")  # wherever in a body a number stands
OF_ITS_KIND = {"until", "expires_at", "webhooks", "url", "emails", "role", "agent_id", "events",
               "threshold", "minutes", "username", "kind", "name", "capabilities"}  # fmt: skip
NOBODY = "00000000-0000-7000-8000-000000000000"
_number = itertools.count()
_client = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Let what the path names be there, every other time."""
    number = next(_number)
    _keep_the_doors_open(case)
    # A header that cannot be sent as it is meant is left out on the way; then nothing is wrong.
    as_meant = all(
        _is_positive(case, each) for each in (ParameterLocation.PATH, ParameterLocation.HEADER)
    )
    if not as_meant or number % 2:
        return
    operation = case.operation.definition.raw.get("operationId")
    path = case.path_parameters or {}
    agent_id = f"p-{os.getpid()}-{number}"
    if operation in WITH_AGENT:
        _name(path, _agent(operation, agent_id), case.operation.path)
    elif operation in ("read_token", "revoke_token"):
        path["token_id"] = _post("/tokens", {"name": "spare", "role": "auditor"})["id"]
    elif operation in ("read_alert_rule", "change_alert_rule", "delete_alert_rule"):
        made = {"name": f"r-{number}", "events": "AgentPausedEvent"}
        _post("/alert-rules", made)
        path["name"] = made["name"]
    elif operation == "read_event":
        path["event_id"] = _get("/events?limit=1")["items"][0]["id"]
    elif operation in ("read_member", "change_member"):
        path["username"] = "dave"
    elif operation == "remove_member":
        _post("/members", {"username": "erin", "role": "auditor"})
        path["username"] = "erin"
    elif operation in ("read_saved_view", "change_saved_view", "delete_saved_view"):
        path["view_id"] = _post("/saved-views", {"name": f"v-{agent_id}", "query": {}})["id"]
    elif operation == "read_verification":
        path["verification_id"] = _post("/integrity/verifications", {})["id"]
    elif operation in ("route_task", "run_commands"):
        _fill_the_body(case, agent_id)
    case.path_parameters = path


def _name(path: dict[str, Any], found: dict[str, str], template: str) -> None:
    """Only what the path has: schemathesis takes anything more in it for a fault it made."""
    path.update({name: each for name, each in found.items() if f"{{{name}}}" in template})


def _fill_the_body(case: Any, agent_id: str) -> None:
    """What a body names, where the path names nothing."""
    if not _is_positive(case, ParameterLocation.BODY) or not case.body:
        return
    _agent("assign_task", agent_id)
    if isinstance(case.body, list):
        case.body = [{**each, "agent_id": agent_id} for each in case.body]
    else:
        case.body = {**case.body, "required_capabilities": [{"name": "known", "min_level": 1}]}


def _keep_the_doors_open(case: Any) -> None:
    """Whoever proves is not to lock itself out with an id that a list gave it."""
    for name in ("token_id", "username"):
        if (case.path_parameters or {}).get(name) in KEPT and case.method in ("DELETE", "PATCH"):
            case.path_parameters[name] = NOBODY


def _agent(operation: str, agent_id: str) -> dict[str, str]:
    """An agent to which the operation can happen, as parameters of the path."""
    capabilities = [{"name": "known", "proficiency_level": 1}]
    _post("/agents", {"agent_id": agent_id, "name": "x", "capabilities": capabilities})
    if operation in ACTIVE:
        _post(f"/agents/{agent_id}/activate", {})
    if operation == "resume_agent":
        _post(f"/agents/{agent_id}/pause", {"reason": "x"})
    if operation in TASKS:
        _post(f"/agents/{agent_id}/tasks", {"task_id": f"t-{agent_id}"})
        return {"agent_id": agent_id, "task_id": f"t-{agent_id}"}
    return {"agent_id": agent_id} | ({"name": "known"} if operation == "upgrade_capability" else {})


def _post(path: str, body: Any) -> Any:
    response = _client.post(API + path, json=body)
    assert response.status_code < 500, response.text
    return response.json()


def _get(path: str) -> Any:
    return _client.get(API + path).json()


@schemathesis.check
def refused_for_a_reason(context: Any, response: Any, case: Any) -> None:
    """What the document allows is accepted, but for what only the log knows."""
    if case.meta is None or case.meta.generation.mode.is_negative or response.status_code != 400:
        return
    problem = json.loads(response.content)
    faults = problem.get("errors", [])
    if not faults and problem["detail"].startswith("Give one of"):
        return
    if not faults and any(each in problem["detail"] for each in TOO_LONG):
        return
    for fault in faults:
        if fault.get("parameter") in OF_THE_LOG or fault.get("header") == "Last-Event-ID":
            continue
        if fault.get("pointer", "/").split("/")[1] in OF_ITS_KIND:
            continue
        if _is_unsayable(fault, case.body):
            continue
        raise AssertionError(f"The document allows it, and it was refused: {problem}")
    assert faults, f"The document allows it, and it was refused: {problem}"


def _is_unsayable(fault: dict[str, str], body: Any) -> bool:
    """5.0 is an integer to JSON Schema, and none here; two items may not name one capability."""
    pointer, detail = fault.get("pointer", ""), fault["detail"]
    if pointer.startswith("/required_capabilities/") and detail.startswith("must be given once"):
        return True
    return detail == "must be a whole number." and type(_at(pointer, body)) is float


def _at(pointer: str, body: Any) -> Any:
    for step in pointer.split("/")[1:]:
        body = body[int(step) if isinstance(body, list) else step]
    return body


@schemathesis.check
def refused_item_by_item(context: Any, response: Any, case: Any) -> None:
    """Commands that the document does not allow are refused alone, in an answer that is 200."""
    operation = case.operation.definition.raw.get("operationId")
    if operation != "run_commands" or response.status_code != 200 or case.meta is None:
        return
    told = json.loads(response.content)
    assert len(told) == len(case.body), f"{len(case.body)} commands, {len(told)} answers."
    assert all(("error" in each) == (each["status"] >= 400) for each in told), told
    if not _is_positive(case, ParameterLocation.BODY):
        assert any("error" in each for each in told), f"No command of these was refused: {told}"


def _is_positive(case: Any, location: ParameterLocation) -> bool:
    if case.meta is None:
        return False
    component = case.meta.components.get(location)
    return component is None or component.mode.is_positive
