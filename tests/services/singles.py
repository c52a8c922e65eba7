"""The route that takes alone what an item of a bulk holds."""

import random
from typing import Any

from django.http import HttpResponse

from tests.api.conftest import CREATION, HEARTBEAT, Caller, body_of

Item = dict[str, Any]

_PATHS = {
    "create": ("POST", "/agents"),
    "update": ("PATCH", "/agents/{agent}"),
    "activate": ("POST", "/agents/{agent}/activate"),
    "pause": ("POST", "/agents/{agent}/pause"),
    "resume": ("POST", "/agents/{agent}/resume"),
    "terminate": ("POST", "/agents/{agent}/terminate"),
    "add_capability": ("POST", "/agents/{agent}/capabilities"),
    "upgrade_capability": ("PATCH", "/agents/{agent}/capabilities/{name}"),
    "heartbeat": ("POST", "/agents/{agent}/heartbeat"),
    "health_failed": ("POST", "/agents/{agent}/health-failures"),
    "assign": ("POST", "/agents/{agent}/tasks"),
    "complete": ("POST", "/agents/{agent}/tasks/{task_id}/complete"),
    "fail": ("POST", "/agents/{agent}/tasks/{task_id}/fail"),
}


def alone(caller: Caller, item: Item) -> HttpResponse:
    """The answer to the item sent as a request of its own."""
    method, path = _PATHS[item["command"]]
    body = dict(item.get("body", {}))
    names = {name: body.pop(name) for name in ("name", "task_id") if f"{{{name}}}" in path}
    if item["command"] == "create":
        body["agent_id"] = item["agent_id"]
    headers = {}
    if item.get("if_version") is not None:
        headers["If_Match"] = f'"{item["if_version"]}"'
    return caller.request(method, path.format(agent=item["agent_id"], **names), body, **headers)


def one_by_one(caller: Caller, items: list[Item]) -> list[Item]:
    """The answers in the form of a bulk's."""
    told = []
    for item in items:
        response = alone(caller, item)
        body = body_of(response)
        if response.status_code < 300:
            seq = int(response["AgentMesh-Seq"])
            told.append({"status": response.status_code, "seq": seq, "body": body})
        else:
            told.append({"status": response.status_code, "error": body})
    return told


def random_items(rng: random.Random, count: int) -> list[Item]:
    """Orders for few agents and few tasks, so that they meet; many are refused."""
    agents = [f"a-{number}" for number in range(4)]
    tasks = [f"t-{number}" for number in range(6)]
    commands = [
        *(["create"] * 2 + ["activate"] * 3 + ["heartbeat"] * 4 + ["assign"] * 5),
        *(["complete"] * 5 + ["fail"] * 3 + ["pause", "resume", "terminate"]),
        *("update", "add_capability", "upgrade_capability", "health_failed", "resume"),
    ]

    def body_of_one(command: str) -> Item:
        task, level = rng.choice(tasks), rng.randint(1, 6)
        bodies: dict[str, Item] = {
            "create": CREATION,
            "update": {"name": rng.choice(["x", "y", ""])},
            "activate": rng.choice([{}, {}, {"nope": 1}]),
            "pause": {"reason": "noon"},
            "resume": {},
            "terminate": {"reason": "old", "force": rng.random() < 0.5},
            "add_capability": {"name": rng.choice(["nlp", "ocr"]), "proficiency_level": level},
            "upgrade_capability": {"name": rng.choice(["nlp", "ocr"]), "proficiency_level": level},
            "heartbeat": HEARTBEAT | {"success_rate": rng.choice([0, 0.5, 1, 1, 1, 7])},
            "health_failed": {"reason": "quiet"},
            "assign": {"task_id": task, "input": {"n": rng.randint(0, 9)}},
            "complete": {"task_id": task, "execution_time_ms": 5, "result": [task]},
            "fail": {"task_id": task, "error_message": "boom"},
        }
        return bodies[command]

    items = []
    for _ in range(count):
        command = rng.choice(commands)
        item: Item = {"command": command, "agent_id": rng.choice(agents)}
        item["body"] = body_of_one(command)
        if command != "create" and rng.random() < 0.1:
            item["if_version"] = rng.randint(1, 12)
        items.append(item)
    return items
