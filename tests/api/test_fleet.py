"""The list of agents: filters, and walks that see each agent once."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from agents import fleet
from agents.models import CurrentAgent
from tests.api.conftest import Caller, People, body_of, people_of


def walk(caller: Caller, query: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    for _ in range(200):
        page = body_of(caller.get(f"/agents?{query}{cursor}"))
        found += [each["agent_id"] for each in page["items"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
    raise AssertionError("The walk has no end.")


STANDING: list[People] = []  # whose agents these tests of a process have in common


@pytest.fixture
def bob(committed_db: None, fresh_slug: Callable[[str], str]) -> Caller:
    """Of a tenant with some agents. Whoever looks at them changes none."""
    if not STANDING:
        people = people_of(fresh_slug("acme"), fresh_slug("globex"))
        employ(people.bob)
        STANDING.append(people)
    return STANDING[0].bob


def employ(bob: Caller) -> None:
    skills = [{"name": "nlp", "proficiency_level": 1}, {"name": "nlp.fr", "proficiency_level": 2}]
    bob.create("aaa", name="Größe", tags=["eu", "prod"], capabilities=skills)
    bob.available("bbb", tags=["eu", "nlp"], capabilities=[{"name": "ocr", "proficiency_level": 1}])
    bob.available("ccc", tags=["EU"], agent_type="scanner", description="Reads INVOICES")
    bob.made(bob.post("/agents/ccc/pause", {"reason": "x"}))
    bob.available("ddd", tags=['q"uote', "prod"])
    bob.made(bob.post("/agents/ddd/health-failures", {"reason": "x"}))
    bob.create("eee", tags=["eu"])
    bob.made(bob.post("/agents/eee/terminate", {"reason": "x"}))


CASES = [
    ("", "aaa bbb ccc ddd"),
    ("status=REGISTERED", "aaa"),
    ("status=REGISTERED,PAUSED", "aaa ccc"),
    ("status=TERMINATED", "eee"),
    ("status=TERMINATED,AVAILABLE", "bbb eee"),
    ("intent=terminated", "eee"),
    ("intent=active", "bbb ddd"),
    ("intent=active&status=TERMINATED", ""),
    ("health=unhealthy", "ddd"),
    ("health=unknown,healthy", "aaa bbb ccc"),
    ("capability=nlp", "aaa ccc ddd"),
    ("capability=nlp.*", "aaa"),
    ("capability=ocr,nlp.fr", "aaa bbb"),
    ("capability=NLP", ""),
    ("tag=eu", "aaa bbb"),
    ("tag=EU", "ccc"),
    ("tag=eu&tag=prod", "aaa"),
    ("tag=eu,EU", "aaa bbb ccc"),
    ("tag=p*", "aaa ddd"),
    ("tag=q%22uote", "ddd"),
    ("tag=%25", ""),
    ("q=GR%C3%96SSE", "aaa"),
    ("q=invoices", "ccc"),
    ("q=SCANNER", "ccc"),
    ("q=bb", "bbb"),
    ("q=_", ""),
]


@pytest.mark.parametrize(("query", "expected"), CASES, ids=[query for query, _ in CASES])
def test_a_filter_finds_what_fits_and_nothing_else(bob: Caller, query: str, expected: str) -> None:
    assert walk(bob, query) == expected.split()


@pytest.mark.parametrize("query", ["", "tag=eu", "q=a", "seq=12", "status=TERMINATED"])
@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_a_walk_sees_each_agent_once(
    bob: Caller,
    query: str,
    limit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = walk(bob, query)
    for examined, chunk, replayed in [(5_000, 250, 20_000), (2, 1, 1), (3, 2, 2)]:
        monkeypatch.setattr(fleet, "EXAMINED", examined)
        monkeypatch.setattr(fleet, "CHUNK", chunk)
        monkeypatch.setattr(fleet, "REPLAYED", replayed)
        assert walk(bob, f"{query}&limit={limit}") == whole


@pytest.mark.parametrize("query", ["tag=nobody-has-it", "status=BUSY", "q=nowhere"])
def test_a_page_that_finds_nothing_says_how_far_it_looked(
    bob: Caller, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "EXAMINED", 2)
    page = body_of(bob.get(f"/agents?{query}"))
    assert (page["items"], key_in(page["next"])) == ([], ["bbb"])


def key_in(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def test_a_row_that_other_rules_made_is_not_believed(people: People) -> None:
    bob = people.bob
    employ(bob)
    before = body_of(bob.get("/agents"))["items"]
    CurrentAgent.objects.filter(tenant=bob.tenant).update(fold=0, state="{}")
    assert body_of(bob.get("/agents"))["items"] == before
