"""Agents from a CSV file: checked, shown, created together, told line by line."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from agents.domain.state import Intent
from agents.pages.csv_agents import MOST_BYTES
from events.models import Event
from tests.pages.conftest import World, text_of
from tests.pages.html import fields_without_label, hidden_values, what_the_policy_forbids

FILE = (
    "agent_id,name,capabilities,activate\n"
    "new-1,Ada,ocr:1,yes\n"
    "taken-1,Bert,ocr:1,\n"
    "new-2,Carl,ocr,\n"
    ",Dora,ocr:5,\n"
)


def check(world: World, text: str = FILE, **more: object) -> Any:
    return world.bob.post(world.page("import/"), text=text, **more)


def order(response: Any) -> dict[str, str]:
    """What the button under the preview sends."""
    sent = hidden_values(text_of(response), "carry-out")
    return sent | {"text": response.context["checked"].text}


def create(world: World, sent: dict[str, str]) -> Any:
    return world.bob.post(world.page("import/do/"), **sent)


def test_a_file_is_checked_shown_and_created_line_by_line_under_one_correlation_id(
    world: World,
) -> None:
    world.create_agent("taken-1")
    before = world.event_types()

    checked = check(world)

    text = text_of(checked)
    assert checked.status_code == 200
    assert "2 agents can be created; 2 lines have faults" in text
    assert "Agent taken-1 exists already. Choose another id." in text
    assert "entry 1 is &#x27;ocr&#x27; and must be" in text
    assert what_the_policy_forbids(text) == []
    assert fields_without_label(text) == []
    assert world.event_types() == before
    sent = order(checked)
    where = create(world, sent)["Location"]
    told = text_of(world.carol.get(where))
    assert "2 created, 1 refused" in told
    assert "Line 3: " in told
    assert "Left out, since they had faults: line 4." in told
    created = Event.objects.filter(tenant=world.acme, correlation_id=sent["correlation"])
    assert sorted(created.values_list("type", flat=True)) == [
        "AgentActivatedEvent",
        "AgentCreatedEvent",
        "AgentCreatedEvent",
        "AgentStatusChangedEvent",
    ]
    assert world.agent("new-1").intent is Intent.ACTIVE
    assert world.agent("taken-1").name == "Name of taken-1"


def test_the_same_comes_of_an_upload_and_a_file_goes_before_text(world: World) -> None:
    file = SimpleUploadedFile("agents.csv", FILE.replace("\n", "\r\n").encode("utf-8-sig"))

    response = check(world, "name\n", file=file)

    assert [row.line for row in response.context["checked"].sheet.rows] == [2, 3, 5]


def test_created_twice_is_created_once_and_who_came_between_is_told_of(world: World) -> None:
    sent = order(check(world))
    world.create_agent("new-1")

    first = create(world, sent)
    again = create(world, sent)

    assert again["Location"] in first["Location"]
    text = text_of(world.bob.get(first["Location"]))
    assert "2 created, 1 refused" in text
    assert "Line 2: " in text
    assert "Agent new-1 exists already" in text
    assert world.event_types().count("AgentCreatedEvent") == 3


def test_a_text_that_was_changed_after_it_was_checked_is_checked_again(world: World) -> None:
    sent = order(check(world))

    response = create(world, sent | {"text": sent["text"].replace("Ada", "Eve")})

    assert response.status_code == 409
    assert "changed after it was checked" in text_of(response)
    assert "Eve" in text_of(response)
    assert "AgentCreatedEvent" not in world.event_types()


def test_what_cannot_be_imported_keeps_what_was_typed_and_records_nothing(world: World) -> None:
    cases = {
        "": "The file is empty.",
        "a\0b": "Line 1 holds a NUL character.",
        "name,colour\nA,red\n": "&#x27;colour&#x27; is none of them",
        "name,capabilities\nA,<script>\n": "No line can be imported; 1 line has a fault",
        "name,capabilities\n" + "A,o:1\n" * 1_001: "more than 1,000 agents",
    }
    for text, why in cases.items():
        response = check(world, text)
        assert response.status_code == 400, text[:40]
        assert why in text_of(response)
        assert "<script>\n" not in text_of(response)
        assert create(world, {"text": text, "checked": "x"}).status_code == 400
    large = SimpleUploadedFile("agents.csv", b"x" * (MOST_BYTES + 1))
    assert "more than 1,048,576 bytes" in text_of(check(world, file=large))
    wrong = SimpleUploadedFile("agents.csv", b"name,capabilities\nGr\xfc\xdfe,ocr:1\n")
    assert "Line 2 is not UTF-8" in text_of(check(world, file=wrong))
    assert "AgentCreatedEvent" not in world.event_types()


def test_importing_is_for_operators_and_a_sample_for_whoever_reads(world: World) -> None:
    sample = world.carol.get(world.page("import/sample.csv"))
    assert sample["Content-Type"] == "text/csv; charset=utf-8"
    assert sample.content.startswith(b"\xef\xbb\xbfagent_id,")
    assert world.carol.get(world.page("import/")).status_code == 403
    for page in ("import/", "import/do/"):
        assert world.carol.post(world.page(page), text=FILE).status_code == 403
        assert world.mallory.post(world.page(page), text=FILE).status_code == 404
    assert world.mallory.get(world.page("import/sample.csv")).status_code == 404
    assert world.bob.get(world.page("import/do/"))["Location"] == world.page("import/")
    assert "AgentCreatedEvent" not in world.event_types()
