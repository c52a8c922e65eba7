import re
from collections.abc import Callable
from io import StringIO
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import transaction

from events import tenants
from events.access import principal_of_token, token_for
from events.log import read
from events.log.verify import verify
from events.models import Event, Membership, Tenant, Token
from tests.jobs.conftest import ALICE, manage, shell

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def somebody() -> Callable[[], str]:
    numbers = count()
    return lambda: f"alice-{uuid4().hex[:12]}-{next(numbers)}"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", StringIO(text))


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        manage(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_tenant_begins_with_an_empty_log(fresh_slug: Callable[[str], str]) -> None:
    slug = fresh_slug("acme")

    said = manage("create_tenant", slug, "--name", "Acme & Söhne")

    assert said.out.startswith(f"Tenant {slug} is created")
    assert Tenant.objects.get(slug=slug).name == "Acme & Söhne"
    assert verify(slug).seq == 0


@pytest.mark.parametrize("slug", ["", "A", "a b", "-a", "a_b", "a" * 64, "ä", "\udcff", "a\n"])
def test_a_bad_slug_is_refused_in_one_line(slug: str) -> None:
    assert "is no slug" in refusal("create_tenant", "--name=x", "--", slug)


@pytest.mark.parametrize("name", ["x" * 257, "a\nb", "\udcff", "a\0b"])
def test_a_bad_name_leaves_no_tenant(fresh_slug: Callable[[str], str], name: str) -> None:
    slug = fresh_slug("acme")

    assert "256 printable" in refusal("create_tenant", slug, f"--name={name}")
    assert not Tenant.objects.filter(slug=slug).exists()


def test_a_taken_slug_is_refused(acme: str) -> None:
    assert refusal("create_tenant", acme) == f"Tenant {acme} exists already. Choose another slug."


def test_a_member_gets_an_account_and_a_fact(
    acme: str, somebody: Callable[[], str], typed: Callable[[str], None]
) -> None:
    alice = somebody()
    typed("correct horse battery\n")

    said = manage("create_member", acme, alice, "--role", "admin", "--password-stdin")

    assert said.out == f"{alice} is admin in {acme}, with a new account.\n"
    assert User.objects.get(username=alice).check_password("correct horse battery")
    event = Event.objects.get(tenant=acme, seq=1)
    assert (event.type, event.actor) == ("MemberAdded", "system:manage")
    assert "manage.py create_member by " in (event.origin or "")


def test_without_a_password_nobody_can_sign_in_and_the_next_step_is_said(
    acme: str, somebody: Callable[[], str]
) -> None:
    alice = somebody()

    said = manage("create_member", acme, alice, "--role", "auditor")

    assert not User.objects.get(username=alice).has_usable_password()
    assert f"manage.py changepassword {alice}" in said.out


def test_an_account_that_exists_joins_another_tenant_and_keeps_its_password(
    acme: str, globex: str, somebody: Callable[[], str], typed: Callable[[str], None]
) -> None:
    alice = somebody()
    typed("correct horse battery")
    manage("create_member", acme, alice, "--role", "admin", "--password-stdin")
    typed("another horse battery")
    refused = refusal("create_member", globex, alice, "--role=operator", "--password-stdin")

    manage("create_member", globex, alice, "--role", "operator")

    assert "its password stays" in refused
    assert User.objects.get(username=alice).check_password("correct horse battery")
    assert Membership.objects.get(tenant=globex, user__username=alice).role == "operator"


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (["nowhere", "ann", "--role=admin"], None, "There is no tenant 'nowhere'"),
        (["\udcff", "ann", "--role=admin"], None, "There is no tenant"),
        (["{acme}", "ann", "--role=king"], None, "invalid choice"),
        (["{acme}", "ann", "--role=agent"], None, "invalid choice"),
        (["{acme}", "ann"], None, "--role"),
        (["{acme}", "a nn", "--role=admin"], None, "is no user name"),
        (["{acme}", "\udcff", "--role=admin"], None, "is no user name"),
        (["{acme}", "n" * 151, "--role=admin"], None, "is no user name"),
        (["{acme}", "ann", "--role=admin", "--password-stdin"], "", "no password on"),
        (["{acme}", "ann", "--role=admin", "--password-stdin"], "\nsecond line", "no password on"),
        (["{acme}", "ann", "--role=admin", "--password-stdin"], "12345", "too short"),
        (["{acme}", "ann", "--role=admin", "--password-stdin"], "x" * 5000, "more than 4096"),
    ],
)
def test_a_wrong_member_is_refused_and_leaves_nothing(
    acme: str,
    somebody: Callable[[], str],
    typed: Callable[[str], None],
    arguments: list[str],
    password: str | None,
    words: str,
) -> None:
    typed(password or "")
    ann = somebody()
    arguments = [each.format(acme=acme) if each == "{acme}" else each for each in arguments]
    arguments = [ann if each == "ann" else each for each in arguments]

    assert words in refusal("create_member", *arguments)
    assert not User.objects.filter(username=ann).exists()
    head = read.head(acme)
    assert head is not None
    assert head.seq == 0


def test_a_savepoint_that_was_rolled_back_does_not_harm_the_next_change(acme: str) -> None:
    """psycopg forgets every prepared statement after one; an append must not mind."""
    for _ in range(4):  # often enough for psycopg to have prepared statements of its own
        tenants.issue_token(acme, "ci", "operator", by=ALICE)
    with transaction.atomic():
        savepoint = transaction.savepoint()
        transaction.savepoint_rollback(savepoint)

    tenants.issue_token(acme, "ci", "operator", by=ALICE)

    assert verify(acme).seq == 5


def test_a_second_membership_is_refused(acme: str, somebody: Callable[[], str]) -> None:
    alice = somebody()
    manage("create_member", acme, alice, "--role", "admin")

    assert "is a member" in refusal("create_member", acme, alice, "--role", "auditor")


def test_a_token_stands_alone_on_standard_output(acme: str, globex: str) -> None:
    said = manage("create_token", acme, "--name", "ci", "--role", "operator", "--expires-days", "7")

    assert re.fullmatch(r"am_[A-Za-z0-9_-]{43}\n", said.out)
    assert "not shown again" in said.err
    token = token_for(said.out.strip())
    assert token is not None
    principal = principal_of_token(token, acme)
    assert principal is not None
    assert (principal.actor, principal.role) == ("token:ci", "operator")
    assert principal_of_token(token, globex) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--name=ci", "--role=agent"], "names it"),
        (["--name=ci", "--role=agent", "--agent=a b"], "names it"),
        (["--name=ci", "--role=admin", "--agent=abc"], "role agent"),
        (["--name=", "--role=admin"], "1 to 100"),
        (["--name=\udcff", "--role=admin"], "1 to 100"),
        (["--name=" + "x" * 101, "--role=admin"], "1 to 100"),
        (["--name=ci", "--role=admin", "--expires-days=0"], "1 to 36500"),
        (["--name=ci", "--role=admin", "--expires-days=99999999999"], "1 to 36500"),
        (["--name=ci", "--role=admin", "--expires-days=soon"], "invalid int"),
        (["--role=admin"], "--name"),
    ],
)
def test_a_wrong_token_is_refused_and_leaves_nothing(
    acme: str, options: list[str], words: str
) -> None:
    assert words in refusal("create_token", acme, *options)
    assert not Token.objects.filter(tenant=acme).exists()


def test_the_shell_gets_one_line_and_an_exit_code(
    acme: str, subprocess_env: dict[str, Any]
) -> None:
    token = shell(subprocess_env, "create_token", acme, "--name", "ci", "--role", "auditor")
    refused = shell(subprocess_env, "create_tenant", acme)
    incomplete = shell(subprocess_env, "create_member", acme)

    assert (token.returncode, token.stdout.count("\n")) == (0, 1)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert incomplete.returncode == 2
    assert incomplete.stderr.count("\n") == 1
    assert "user, --role" in incomplete.stderr


def test_a_database_that_is_not_set_up_is_named_with_the_next_step(
    subprocess_env: dict[str, str], tmp_path: Any
) -> None:
    env = subprocess_env | {"DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3"}

    refused = shell(env, "create_tenant", "acme")

    assert refused.returncode == 1
    assert "Run manage.py migrate first." in refused.stderr
    assert "Traceback" not in refused.stderr
