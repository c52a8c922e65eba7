"""Every route of the API once: what it is sent, and which roles it lets in."""

from dataclasses import dataclass
from typing import Any

from tests.api.conftest import CREATION, HEARTBEAT

EVERYBODY = ("admin", "operator", "auditor", "agent")
READERS = ("admin", "operator", "auditor")
OPERATORS = ("admin", "operator")
WORKERS = ("admin", "operator", "agent")
ADMINS = ("admin",)


@dataclass(frozen=True)
class Route:
    """`{agent}` and the like stand for things that are there: `tests.api.things`."""

    method: str
    path: str
    roles: tuple[str, ...]
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


HOOK = "https://hooks.example.org/T0/secret-part"  # of the rule {rule}
AGENT = "/agents/{agent}"
PARKED = "/subscriptions/{subscription}/parked/{stream}"
ROUTES = [
    Route("GET", "/agents", EVERYBODY),
    Route("POST", "/agents", ("admin", "operator"), CREATION | {"agent_id": "another-one"}),
    Route("GET", AGENT, EVERYBODY),
    Route("PATCH", AGENT, OPERATORS, {"name": "x"}),
    Route("GET", f"{AGENT}/diff", EVERYBODY),
    Route("GET", f"{AGENT}/events", EVERYBODY),
    Route("POST", f"{AGENT}/activate", WORKERS, {}),
    Route("POST", f"{AGENT}/pause", OPERATORS, {"reason": "x"}),
    Route("POST", f"{AGENT}/resume", OPERATORS, {}),
    Route("POST", f"{AGENT}/terminate", OPERATORS, {"reason": "x"}),
    Route("POST", f"{AGENT}/heartbeat", WORKERS, HEARTBEAT),
    Route("POST", f"{AGENT}/health-failures", OPERATORS, {"reason": "x"}),
    Route("POST", f"{AGENT}/capabilities", OPERATORS, {"name": "x", "proficiency_level": 1}),
    Route("PATCH", f"{AGENT}/capabilities/nlp", OPERATORS, {"proficiency_level": 5}),
    Route("GET", f"{AGENT}/tasks", EVERYBODY),
    Route("POST", f"{AGENT}/tasks", OPERATORS, {"task_id": "t-x"}),
    Route("POST", f"{AGENT}/tasks/{{task}}/complete", WORKERS, {"execution_time_ms": 1}),
    Route("POST", f"{AGENT}/tasks/{{task}}/fail", WORKERS, {"error_message": "x"}),
    Route("POST", "/commands", WORKERS, [{"command": "activate", "agent_id": "nobody-here"}]),
    Route("GET", "/tasks", EVERYBODY),
    Route(
        *("POST", "/tasks", OPERATORS),
        {"task_id": "t-r", "required_capabilities": [{"name": "nlp"}]},
    ),
    Route("GET", "/tasks/{task}", EVERYBODY),
    Route("POST", "/tasks/{task}/erase", ADMINS, {"reason": "x"}),
    Route("POST", f"{AGENT}/erase", ADMINS, {"reason": "x"}),
    Route("GET", "/events", EVERYBODY),
    Route("GET", "/events/{event}", EVERYBODY),
    Route("GET", "/export", ("admin", "auditor")),
    Route("GET", "/checkpoints", READERS),
    Route("GET", "/integrity", READERS),
    Route("GET", "/integrity/verifications", READERS),
    Route("POST", "/integrity/verifications", ("admin", "auditor"), {}),
    Route("GET", "/integrity/verifications/{verification}", READERS),
    Route("GET", "/saved-views", READERS),
    Route("POST", "/saved-views", OPERATORS, {"name": "x", "query": {"types": "AgentTask*"}}),
    Route("GET", "/saved-views/{view}", READERS),
    Route("PATCH", "/saved-views/{view}", OPERATORS, {"name": "x"}),
    Route("DELETE", "/saved-views/{view}", OPERATORS),
    Route("GET", "/subscriptions", READERS),
    Route("POST", f"{PARKED}/retry", OPERATORS, {}),
    Route("POST", f"{PARKED}/skip", OPERATORS, {"reason": "x"}),
    Route("GET", "/analytics/tasks", READERS),
    Route("GET", "/alerts", READERS),
    Route("GET", "/alerts/{alert}", READERS),
    Route("POST", "/alerts/{alert}/acknowledge", OPERATORS, {"note": "x"}),
    Route("POST", "/alerts/{alert}/resolve", OPERATORS, {"reason": "x"}),
    Route("GET", "/alert-rules", READERS),
    Route("POST", "/alert-rules", OPERATORS, {"name": "x", "events": "AgentPausedEvent"}),
    Route("POST", "/alert-webhooks/rotate-secret", OPERATORS, {"url": HOOK}),
    Route("GET", "/alert-rules/{rule}", READERS),
    Route("PATCH", "/alert-rules/{rule}", OPERATORS, {"enabled": False}),
    Route("DELETE", "/alert-rules/{rule}", OPERATORS),
    Route("GET", "/members", READERS),
    Route("POST", "/members", ADMINS, {"username": "nobody-there", "role": "auditor"}),
    Route("GET", "/members/{member}", READERS),
    Route("PATCH", "/members/{member}", ADMINS, {"suspended": True}),
    Route("DELETE", "/members/{member}", ADMINS),
    Route("GET", "/tokens", READERS),
    Route("POST", "/tokens", ADMINS, {"name": "x", "role": "auditor"}),
    Route("GET", "/tokens/{token}", READERS),
    Route("DELETE", "/tokens/{token}", ADMINS),
]
WRITING = [route for route in ROUTES if route.method in ("POST", "PATCH")]
WITH_A_THING = [route for route in ROUTES if "{" in route.path]
# Beside every tenant: /me is for whoever is signed in, the others are for everybody.
PLAIN = ("/me", "/keys", "/schemas", "/schemas/AgentCreatedEvent/1.0", "/openapi.json")
