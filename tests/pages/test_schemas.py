"""Schemas for people: what each type says, in each version, and the way between two."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events import registry
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.schemas import document, fields
from events.schemas.fields import Field
from tests.pages.conftest import World, text_of
from tests.pages.html import what_the_policy_forbids

LIST = "integrations/schemas/"
COMPLETED = "AgentTaskCompletedEvent"


def main_of(response: Any) -> str:
    (main,) = re.findall(r"<main.*?</main>", text_of(response), re.DOTALL)
    return str(main)


def test_every_type_is_listed_with_its_versions(world: World) -> None:
    page = world.carol.get(world.page(LIST))

    assert {row["type"] for row in page.context["rows"]} == set(registry.types())
    assert world.page(f"{LIST}{COMPLETED}/1.0/") in main_of(page)
    found = world.carol.get(world.page(LIST), q="taskComp").context["rows"]
    assert [row["type"] for row in found] == [COMPLETED]
    assert "No type has" in main_of(world.carol.get(world.page(LIST), q="<nothing>"))


def test_a_version_shows_its_sample_its_schema_and_where_programs_have_it(world: World) -> None:
    newest = main_of(world.bob.get(world.page(f"{LIST}{COMPLETED}/")))
    oldest = main_of(world.bob.get(world.page(f"{LIST}{COMPLETED}/1.0/")))

    assert "input_tokens&quot;: 900" in newest
    assert "input_tokens&quot;: 900" not in oldest
    assert f'href="/api/v1/schemas/{COMPLETED}/1.0" download="{COMPLETED}-1.0.json"' in oldest
    assert document.sha256(document.document(COMPLETED, "1.0")) in oldest
    assert "before tokens were counted" in newest
    assert "adds usage: null" in newest
    assert "leaves out usage" in newest
    answered = world.bob.get(f"/api/v1/schemas/{COMPLETED}/1.0")
    assert answered.content.decode() == document.served(COMPLETED, "1.0").decode()


def test_every_version_of_every_type_has_a_page(world: World) -> None:
    for kind in registry.kinds():
        fields.fields(kind.type)
        assert fields.sample(kind)
    page = text_of(world.alice.get(world.page(f"{LIST}AgentCreatedEvent/1.0/")))
    assert what_the_policy_forbids(page) == []
    assert "There is one version" in page


@pytest.mark.parametrize("path", ["NoSuchEvent/", f"{COMPLETED}/7.0/", "%00/", "a/%00/", "%ff/"])
def test_what_does_not_exist_is_not_found(world: World, path: str) -> None:
    assert world.alice.get(world.page(LIST + path)).status_code == 404


def test_mallory_does_not_come_in_by_a_schema(world: World) -> None:
    assert world.mallory.get(world.page(LIST)).status_code == 404
    assert world.mallory.get(world.page(f"{LIST}{COMPLETED}/")).status_code == 404


def test_the_pages_ask_the_database_for_whoever_reads_them_alone(world: World) -> None:
    world.carol.get(world.page(LIST))
    with CaptureQueriesContext(connection) as captured:
        world.carol.get(world.page(f"{LIST}{COMPLETED}/"))

    tables = {
        table
        for each in captured.captured_queries
        for table in re.findall(r'(?:FROM|JOIN) "(\w+)"', each["sql"])
    }
    assert tables <= {
        "django_session",
        "auth_user",
        "events_membership",
        "events_tenant",
        "events_token",
    }


def test_a_field_names_the_version_that_brought_it() -> None:
    found = {each.name: each for each in fields.fields(COMPLETED)}

    assert found["task_id"] == Field("task_id", "text", "1.0", None)
    assert (found["usage"].since, found["usage"].until) == ("2.0", None)
    assert found["usage"].holds.endswith("or null")
    assert [each.name for each in fields.fields(COMPLETED)][-1] == "occurred_at"


def test_a_field_that_is_gone_names_its_last_version(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {
        "1.0": {"properties": {"kept": {"type": "string"}, "gone": {"type": "integer"}}},
        "2.0": {"properties": {"kept": {"type": "boolean"}}},
    }
    monkeypatch.setattr(document, "document", lambda _, version: shapes[version])

    assert fields.fields.__wrapped__(COMPLETED) == (
        Field("kept", "true or false", "2.0", None),
        Field("kept", "text", "1.0", "1.0"),
        Field("gone", "whole number", "1.0", "1.0"),
    )


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, "whole number ≥ 1 ≤ 5"),
        ({"type": "integer", "maximum": 2**63 - 1}, "whole number"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "text or null"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
        ({"type": "array", "items": {"$ref": "#/$defs/A"}}, "list of {a: moment}"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "names to text"),
        ({"type": "object"}, "object"),
        ({"type": "array"}, "list"),
        ({}, "any JSON"),
    ],
)
def test_what_a_field_holds_is_said_in_words(schema: dict[str, Any], words: str) -> None:
    nested = {
        "A": {"type": "object", "properties": {"a": {"type": "string", "format": "date-time"}}}
    }
    assert fields.in_words(schema, nested) == words


def test_a_caster_speaks_for_itself_where_it_has_words() -> None:
    (step,) = fields.steps(COMPLETED)
    assert step.words.startswith(AgentTaskCompletedEventV1.__module__ and COMPLETED)

    def up(payload: Any) -> Any:
        """Tokens are not known."""
        return payload

    caster = registry.CASTERS[0]
    spoken = type(caster)(caster.definition, "2.0", up=up, down=caster.down)
    assert fields._words_of(spoken) == "Tokens are not known."
