"""Who may go on listening, asked for all at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.models import Role
from events.tenants import add_member, change_member, remove_member, revoke_token
from projections.stream.passes import Pass, void
from tests.stream.people import BY, Fleet

Person = Callable[[], tuple[Any, Client, Pass]]


@pytest.fixture
def person(acme: Fleet, fresh_slug: Callable[[str], str]) -> Person:
    """Somebody who operates in acme, signed in."""

    def signed_in() -> tuple[Any, Client, Pass]:
        user = get_user_model().objects.create_user(fresh_slug("bob"))
        add_member(acme.tenant, user.username, Role.OPERATOR, by=BY)
        browser = Client()
        browser.force_login(user)
        key = browser.cookies["sessionid"].value
        return user, browser, Pass(acme.tenant, Role.OPERATOR, session_key=key)

    return signed_in


def test_however_many_listen_it_takes_four_questions(acme: Fleet, person: Person) -> None:
    tokens = [Pass(acme.tenant, Role.ADMIN, token_id=acme.issue()[0].pk) for _ in range(12)]
    sessions = [person()[2] for _ in range(12)]

    with CaptureQueriesContext(connection) as asked:
        assert void([*tokens, *sessions]) == set()

    assert len(asked) == 4, [query["sql"] for query in asked]


def test_each_loses_what_was_taken_from_it_and_nobody_else_does(
    acme: Fleet, globex: Fleet, person: Person
) -> None:
    suspended, removed, changed, signed_out, inactive, renewed, staying = people = [
        person() for _ in range(7)
    ]
    (gone, _), (kept, _) = acme.issue(), acme.issue()
    with_gone, with_kept = (
        Pass(acme.tenant, Role.ADMIN, token_id=token.pk) for token in (gone, kept)
    )
    superuser, browser, _ = person()
    get_user_model().objects.filter(pk=superuser.pk).update(is_superuser=True)
    key = browser.cookies["sessionid"].value
    everywhere = Pass(globex.tenant, Role.ADMIN, session_key=key)
    elsewhere = Pass(globex.tenant, Role.OPERATOR, session_key=staying[2].session_key)

    change_member(acme.tenant, suspended[0].username, suspended=True, by=BY)
    remove_member(acme.tenant, removed[0].username, by=BY)
    change_member(acme.tenant, changed[0].username, role=Role.AUDITOR, by=BY)
    signed_out[1].logout()
    get_user_model().objects.filter(pk=inactive[0].pk).update(is_active=False)
    renewed[0].set_password("another")
    renewed[0].save()
    revoke_token(acme.tenant, gone.pk, by=BY)

    passes = [each for _, _, each in people]
    assert void([*passes, with_gone, with_kept, everywhere, elsewhere]) == {
        *passes[:-1],
        with_gone,
        elsewhere,
    }
