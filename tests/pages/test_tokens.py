"""Tokens: a secret is seen once, by whoever issued it; and they end with a name and a reason."""

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events import tenants
from events.access import token_for
from events.models import Event, Token
from events.pages import tokens
from tests.pages.conftest import SETUP, Person, World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids

NO_TOKEN = "tokens/00000000-0000-4000-8000-000000000000/revoke/"
REASON = {"reason": "It leaked."}


def issue(world: World, name: str = "ci", **values: str) -> tuple[Token, str]:
    return tenants.issue_token(world.acme, name, values.get("role", "operator"), by=SETUP)


def main_of(response: object) -> str:
    (main,) = re.findall(r"<main.*?</main>", text_of(response), re.DOTALL)
    return str(main)


@pytest.mark.parametrize("who", ["bob", "carol"])
def test_operators_and_auditors_see_the_tokens_and_are_offered_no_change(
    world: World, who: str
) -> None:
    token, _ = issue(world)
    person: Person = getattr(world, who)

    main = main_of(person.get(world.page("tokens/")))

    assert "ci" in main
    assert "tokens/issue/" not in main
    assert str(token.pk) not in main
    assert person.get(world.page("tokens/issue/")).status_code == 403
    assert person.get(world.page(f"tokens/{token.pk}/revoke/")).status_code == 403


@pytest.mark.parametrize("path", ["tokens/issue/", NO_TOKEN])
def test_only_an_admin_issues_and_revokes(world: World, path: str) -> None:
    values = {"role": "admin", "name": "x", "confirm": "x", **REASON}

    assert world.bob.post(world.page(path), **values).status_code == 403
    assert world.carol.post(world.page(path), **values).status_code == 403
    assert world.mallory.post(world.page(path), **values).status_code == 404
    assert world.mallory.get(world.page("tokens/")).status_code == 404
    assert not Token.objects.filter(tenant=world.acme).exists()


def test_a_secret_is_shown_once_and_opens_the_tenant(world: World) -> None:
    response = world.alice.post(
        world.page("tokens/issue/"), name="ci", role="operator", expires="never"
    )

    token, secret = response.context["token"], response.context["secret"]
    assert response.status_code == 200
    assert secret in text_of(response)
    assert "no-store" in response["Cache-Control"]
    assert token_for(secret) == token
    assert secret not in text_of(world.alice.get(world.page("tokens/")))
    assert not [event for event in Event.objects.filter(tenant=world.acme) if secret in event.data]
    key = world.alice.client.cookies["sessionid"].value
    assert secret not in str(Session.objects.get(session_key=key).get_decoded())
    assert all(secret not in str(cookie) for cookie in world.alice.client.cookies.values())


def test_a_form_that_is_sent_again_issues_nothing_and_shows_no_secret(world: World) -> None:
    form = world.alice.get(world.page("tokens/issue/")).context["form"]
    values = {"form_id": str(form["form_id"].value()), "name": "ci", "role": "operator"}

    first = world.alice.post(world.page("tokens/issue/"), expires="30", **values)
    again = world.alice.post(world.page("tokens/issue/"), expires="30", **values)

    assert again.status_code == 400
    assert first.context["secret"] not in text_of(again)
    assert "This was sent before" in text_of(again)
    assert Token.objects.filter(tenant=world.acme).count() == 1
    assert world.event_types().count("TokenIssued") == 1


def test_a_term_is_chosen(world: World) -> None:
    for expires in ("7", "never"):
        values = {"role": "auditor", "expires": expires}
        world.alice.post(world.page("tokens/issue/"), name=expires, **values)

    in_a_week, for_ever = Token.objects.filter(tenant=world.acme).order_by("name")
    assert for_ever.expires_at is None
    assert in_a_week.expires_at is not None
    left = in_a_week.expires_at - timezone.now()
    assert timedelta(days=7) - timedelta(minutes=5) < left <= timedelta(days=7)


def test_a_moment_is_read_in_the_zone_of_the_person(world: World) -> None:
    world.alice.post(
        world.page("tokens/issue/"),
        name="ci",
        role="agent",
        agent_id="agent-1",
        expires="at",
        expires_at="2999-05-04T13:37",
    )

    (token,) = Token.objects.filter(tenant=world.acme)
    assert str(token.expires_at) == "2999-05-04 13:37:00+00:00"
    assert token.agent_id == "agent-1"


UNFIT = [
    ({"role": "agent"}, "A token for an agent names it"),
    ({"role": "operator", "agent_id": "agent-1"}, "Only a token of the role agent"),
    ({"expires": "at", "expires_at": "2020-01-01T00:00"}, "expires in the future"),
    ({"expires": "at", "expires_at": "9999-12-31T23:59-14:00"}, "years 1 to 9999"),
    ({"expires": "at"}, "Say when, or choose another term"),
    ({"expires": "30", "expires_at": "2999-01-01T00:00"}, "Choose “at the moment below”"),
    ({"expires": "31"}, "Select a valid choice"),
    ({"form_id": "x"}, "Nothing was recorded"),
    ({"name": "x" * 101}, "1 to 100 printable characters"),
    ({"name": ""}, "This field is required."),
    ({"name": "a\0b"}, "Null characters are not allowed."),
    ({"role": "king"}, "Select a valid choice"),
]


def test_a_token_that_does_not_fit_is_refused_and_says_why(world: World) -> None:
    fitting = {"name": "ci", "role": "operator", "expires": "never"}
    for values, why in UNFIT:
        response = world.alice.post(world.page("tokens/issue/"), **(fitting | values))
        assert response.status_code == 400
        assert why in text_of(response)
    assert not Token.objects.filter(tenant=world.acme).exists()


def test_a_token_is_revoked_by_its_name_and_with_a_reason(world: World) -> None:
    token, secret = issue(world)
    path = world.page(f"tokens/{token.pk}/revoke/")

    page = world.alice.get(path)
    assert "Type ci to confirm" in text_of(page)
    response = world.alice.post(path, confirm="ci", **REASON)

    assert response.status_code == 302
    assert token_for(secret) is None
    event = world.newest_event()
    assert (event.type, event.reason) == ("TokenRevoked", "It leaked.")
    assert "revoked" in main_of(world.alice.get(world.page("tokens/")))
    assert world.alice.get(path).status_code == 302


def test_a_name_that_looks_like_markup_is_shown_as_it_was_given(world: World) -> None:
    token, _ = tenants.issue_token(world.acme, "<b>ci</b>", "operator", by=SETUP)

    for page in ("tokens/", f"tokens/{token.pk}/revoke/"):
        text = text_of(world.alice.get(world.page(page)))
        assert "&lt;b&gt;ci&lt;/b&gt;" in text
        assert "<b>ci</b>" not in text


def test_without_the_name_or_a_reason_nothing_is_revoked(world: World) -> None:
    token, secret = issue(world)
    lacking = [
        {"confirm": "c", **REASON},
        {"confirm": "ci"},
        {"confirm": "ci", "reason": "a\u202eb"},
        {},
    ]

    for values in lacking:
        response = world.alice.post(world.page(f"tokens/{token.pk}/revoke/"), **values)
        assert response.status_code == 400
    assert token_for(secret) is not None


def test_another_tenants_token_is_revoked_like_an_absent_one(world: World) -> None:
    token, secret = issue(world)
    values = {"confirm": "ci", **REASON}

    theirs = world.mallory.post(f"/admin/t/{world.globex}/tokens/{token.pk}/revoke/", **values)
    absent = world.mallory.post(f"/admin/t/{world.globex}/tokens/{uuid.uuid4()}/revoke/", **values)

    assert (theirs.status_code, absent.status_code) == (404, 404)
    assert token_for(secret) is not None


def test_the_list_is_narrowed_by_state_and_role(world: World) -> None:
    issue(world, "usable")
    issue(world, "other", role="auditor")
    revoked, _ = issue(world, "revoked")
    tenants.revoke_token(world.acme, revoked.pk, by=SETUP)
    expired, _ = issue(world, "expired")
    Token.objects.filter(tenant=world.acme, pk=expired.pk).update(expires_at=timezone.now())

    def names(**query: str) -> list[str]:
        page = world.carol.get(world.page("tokens/"), **query)
        return [each.name for each in page.context["tokens"]]

    assert names(state="usable") == ["other", "usable"]
    assert names(state="expired") == ["expired"]
    assert names(state="revoked") == ["revoked"]
    assert names(role="auditor") == ["other"]
    assert names(state="usable", role="auditor") == ["other"]
    assert len(names(state="no such", role="king")) == 4
    assert names(state="expired", role="auditor") == []


def test_a_long_list_goes_on_where_it_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PAGE", 2)
    for name in ("a", "b", "b", "c", "d"):
        issue(world, name)
    names: list[str] = []
    query: str | None = ""
    while query is not None:
        context = world.alice.get(world.page("tokens/") + query).context
        names += [token.name for token in context["tokens"]]
        query = context["next"]

    assert names == ["a", "b", "b", "c", "d"]


def test_the_list_asks_as_much_however_many_tokens_there_are(world: World) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            world.carol.get(world.page("tokens/"))
        return len(captured)

    asked()
    issue(world, "a")
    few = asked()
    for number in range(5):
        issue(world, f"b-{number}")

    assert asked() == few <= 6


def test_the_pages_keep_the_policy_and_label_their_fields(world: World) -> None:
    token, _ = issue(world)
    pages = [
        world.alice.get(world.page("tokens/")),
        world.alice.get(world.page("tokens/issue/")),
        world.alice.get(world.page(f"tokens/{token.pk}/revoke/")),
        world.alice.post(world.page("tokens/issue/"), name="x", role="admin", expires="7"),
    ]
    for page in pages:
        assert what_the_policy_forbids(text_of(page)) == []
        assert fields_without_label(text_of(page)) == []
