"""Where the `type` of a problem leads: words for people, JSON for programs, for anybody."""

import json

import pytest
from django.test import Client

from events.api.problem import TITLES, forbidden, invalid, not_found
from events.api.problem_types import WORDS

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("code", TITLES)
def test_each_code_says_what_it_means_and_what_to_do(code: str) -> None:
    page = Client().get(f"/problems/{code}", headers={"accept": BROWSER})
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"<h1>{TITLES[code]}</h1>" in page.content.decode()
    assert f"<code>{code}</code>" in page.content.decode()
    assert "`" not in page.content.decode()

    told = Client().get(f"/problems/{code}")
    body = json.loads(told.content)
    assert told["Content-Type"] == "application/json"
    assert (body["type"], body["title"]) == (f"/problems/{code}", TITLES[code])
    assert 400 <= body["status"] < 600
    assert (body["meaning"], body["remedy"]) == WORDS[code]


def test_the_type_of_every_problem_leads_there() -> None:
    for problem in (not_found(), forbidden("x"), invalid("x")):
        told = Client().get(problem.body()["type"])
        assert json.loads(told.content)["status"] == problem.status


def test_whoever_takes_one_form_gets_it_and_caches_keep_them_apart() -> None:
    for accept, kind in (
        ("text/html", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/problem+json", "application/json"),
        ("*/*", "application/json"),
    ):
        response = Client().get("/problems/throttled", headers={"accept": accept})
        assert (response.status_code, response["Content-Type"]) == (200, kind)
        assert response["Vary"] == "Accept"
        assert response["Cache-Control"] == "public, max-age=300"


def test_it_is_read_and_nothing_else() -> None:
    head = Client().head("/problems/throttled")
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert Client().generic(method, "/problems/throttled").status_code == 405


@pytest.mark.parametrize("code", ["nothing", "Throttled", "throttled/", "a%2Fb", "x" * 5_000])
def test_a_code_that_there_is_not_is_not_found(code: str) -> None:
    for accept in ("*/*", BROWSER):
        response = Client().get(f"/problems/{code}", headers={"accept": accept})
        assert response.status_code == 404
