"""What schemathesis has to know of AgentMesh beyond the document; it imports this by itself.

Where an operation needs something to be there (an agent that is paused, a task that runs), every
other positive request finds it made just before, so that not all of them are 404 and 409. What a
schema cannot say (a seq is not beyond the head) may be refused, and only that.
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
    if operation in WITH_AGENT:
        path.update(_agent(operation, f"p-{os.getpid()}-{number}"))
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
    case.path_parameters = path


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
    for fault in faults:
        if fault.get("parameter") in OF_THE_LOG or fault.get("header") == "Last-Event-ID":
            continue
        if fault.get("pointer", "/").split("/")[1] in OF_ITS_KIND:
            continue
        raise AssertionError(f"The document allows it, and it was refused: {problem}")
    assert faults, f"The document allows it, and it was refused: {problem}"


def _is_positive(case: Any, location: ParameterLocation) -> bool:
    if case.meta is None:
        return False
    component = case.meta.components.get(location)
    return component is None or component.mode.is_positive
