"""Whatever stands in an address, the answer is a page or a 4xx."""

import pytest

from tests.pages.conftest import World

VALUES = [
    "\0",
    "a\0b",
    "-1",
    "0",
    "1e9",
    "9" * 5_000,
    str(2**63),
    str(2**63 - 1),
    "\N{ARABIC-INDIC DIGIT FIVE}",
    "\N{SUPERSCRIPT TWO}",
    "%",
    "_",
    "\\",
    "' OR 1=1 --",
    "<script>",
    "x" * 20_000,
    "\ufffd\U0001f600",
    "",
]
PARAMETERS = {
    "": ["x", "range"],
    "tasks/": ["task", "status", "agent", "since", "until", "before"],
    "tasks/t-7/": ["attempt"],
    "new-task/": ["task_id"],
    "agents/": [
        *("status", "intent", "health", "q", "after", "before"),
        *("capability", "level", "tag"),
    ],
    "agents/agent-1/timeline/": ["before"],
    "agents/agent-1/history/": ["version", "at", "compare"],
    "events/": ["type", "agent", "actor", "before"],
    "alerts/": ["state", "rule", "agent", "before"],
    "proof/": ["x"],
    "proof/verifications/": ["before"],
    "proof/checkpoints/": ["before"],
    "proof/bundle/": ["agent", "types", "actor", "q", "since", "until", "from_seq", "to_seq"],
    "members/": ["after"],
    "tokens/": ["after", "state", "role"],
    "integrations/schemas/": ["q"],
}


@pytest.mark.parametrize("page", PARAMETERS)
def test_no_query_parameter_breaks_a_page(world: World, page: str) -> None:
    world.busy_agent()

    for parameter in PARAMETERS[page]:
        for value in VALUES:
            response = world.alice.get(world.page(page), **{parameter: value})
            assert response.status_code == 200, (parameter, value)


@pytest.mark.parametrize("query", ["?q=%ff%fe", "?q=%ed%a0%80", "?q&&==&q=%", "?after=%00"])
def test_broken_encodings_break_no_page(world: World, query: str) -> None:
    assert world.alice.get(world.page("agents/") + query).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "agents/%00%00%00/",
        "agents/a/",
        "agents/%ff%ff%ff/",
        f"agents/{'x' * 300}/",
        "agents/agent-1/%00/",
        "agents/agent-1/pause/extra/",
        "tasks/%00/",
        "tasks/-t/",
        f"tasks/{'x' * 300}/",
        "tasks/no-such-task/",
        "events/1/",
        "events/00000000-0000-0000-0000-00000000000g/",
        "events/%00/",
        "..%2f..%2fetc/",
    ],
)
def test_an_address_that_names_nothing_is_not_found(world: World, path: str) -> None:
    world.active_agent()

    assert world.alice.get(world.page(path)).status_code == 404


@pytest.mark.parametrize("slug", ["%00", "ACME", "a" * 64, "-a", "a%ff"])
def test_a_slug_that_no_tenant_could_have_is_not_found(world: World, slug: str) -> None:
    assert world.alice.get(f"/admin/t/{slug}/").status_code == 404
    assert world.alice.get(f"/t/{slug}/agents/agent-1").status_code == 404


def test_more_form_fields_than_any_form_has_are_refused(world: World) -> None:
    world.create_agent()
    fields = {f"f{number}": "x" for number in range(2_000)}

    response = world.bob.post(world.page("agents/agent-1/activate/"), **fields)

    assert response.status_code == 400


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example", "\\\\evil"])
def test_the_login_sends_nobody_elsewhere(world: World, next_page: str) -> None:
    response = world.alice.get("/admin/login/", next=next_page)

    assert response["Location"] == "/admin/"
