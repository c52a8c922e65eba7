"""The key that wraps is changed: new keys by the first, old ones anew, none lost."""

from typing import Any

import pytest
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from events import tenants
from events.confidential import erase as erasing
from events.confidential import form, rewrap
from events.confidential import keys as kept
from events.models import PayloadKey
from tests.confidential.conftest import (
    BY,
    INPUT,
    KEK,
    OTHER_KEK,
    RESULT,
    assign,
    complete,
    keys,
    read,
    stored,
    why,
)
from tests.jobs.conftest import manage


def test_a_new_first_key_wraps_what_is_new_and_the_old_one_opens_the_rest(
    acme: str, settings: Settings
) -> None:
    assign(acme, "t-1")
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)
    complete(acme, "t-1")
    assign(acme, "t-2")

    assert [key.kek for key in keys(acme)] == [kept.kek_id(KEK), kept.kek_id(OTHER_KEK)]
    assert read(acme) == [INPUT, RESULT, INPUT]


def test_keys_are_wrapped_anew_and_the_old_one_can_go(
    acme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrap, "AT_ONCE", 2)
    for number in range(5):
        assign(acme, f"t-{number}")
        complete(acme, f"t-{number}")
    erasing.erase(acme, task_id="t-0", reason="x", by=BY)
    before, in_the_log = read(acme), stored(acme)
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)

    first, again = rewrap.rewrap(acme), rewrap.rewrap(acme)

    assert (first.kek, first.done, first.left) == (kept.kek_id(OTHER_KEK), 4, 0)
    assert (again.done, again.left) == (0, 0)
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)
    assert read(acme) == before
    assert before[:2] == [why("erased")] * 2
    assert stored(acme) == in_the_log
    assert [key.wrapped is None for key in keys(acme)] == [True, False, False, False, False]


def test_what_cannot_be_unwrapped_is_left_as_it_is_and_counted(
    acme: str, settings: Settings
) -> None:
    assign(acme, "t-1")
    complete(acme, "t-1")
    assign(acme, "t-2")
    PayloadKey.objects.filter(tenant=acme, task_id="t-2").update(wrapped=b"x" * 40)
    settings.ENCRYPTION_KEYS = (bytes(32),)
    assert rewrap.rewrap(acme).left == 2
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)

    done = rewrap.rewrap(acme)

    assert (done.done, done.left) == (1, 1)
    assert read(acme) == [INPUT, RESULT, why("unreadable")]


def test_an_erasure_while_keys_are_wrapped_anew_stays_one(
    acme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)
    found = rewrap._batch

    def erase_after_finding(*given: Any) -> list[str]:
        batch = found(*given)
        if batch:
            erasing.erase(acme, task_id="t-1", reason="x", by=BY)
        return batch

    monkeypatch.setattr(rewrap, "_batch", erase_after_finding)
    rewrap.rewrap(acme)

    assert read(acme) == [why("erased")]


class TestTheCommand:
    """In a database of its own: it is for all tenants, also those of other tests."""

    @pytest.fixture
    def two(self, in_scratch_database: None, fresh_slug: Any) -> list[str]:
        PayloadKey.objects.across_tenants().delete()
        slugs = [tenants.create_tenant(fresh_slug(name)).slug for name in ("acme", "globex")]
        for slug in slugs:
            PayloadKey.objects.create(
                key_id=slug[-12:],
                tenant_id=slug,
                task_id="t-1",
                agent_id="a-1",
                wrapped=form.wrap(b"k" * 32, KEK),
                kek=kept.kek_id(KEK),
                seq=1,
                created_at="2026-01-01T00:00:00Z",
            )
        return slugs

    def test_goes_through_all_tenants(self, two: list[str], settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)

        said = manage("rewrap_keys")

        assert said.out == f"2 keys wrapped anew with {kept.kek_id(OTHER_KEK)}.\n"
        keks = PayloadKey.objects.filter(tenant__in=two).values_list("kek", flat=True)
        assert set(keks) == {kept.kek_id(OTHER_KEK)}

    def test_says_what_is_left(self, two: list[str], settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OTHER_KEK,)

        with pytest.raises(CommandError, match="2 could not be unwrapped"):
            manage("rewrap_keys")

    @pytest.mark.usefixtures("two")
    def test_needs_a_key(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = ()

        with pytest.raises(CommandError, match="Set AGENTMESH_ENCRYPTION_KEYS"):
            manage("rewrap_keys")
