"""Whatever somebody with the database's password changes, verify_log finds, and names the place."""

import uuid
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.db.backends.utils import CursorWrapper

from events.log import chain
from events.log import verify as verifying
from events.log.verify import Damaged, logs, verify, walk
from events.models import Event, Tenant, TenantHead
from tests.jobs.conftest import live_a_little, make_agent, manage, shell, tampering
from tests.log import chain_by_hand
from tests.prove.owner import load, owning

ON_POSTGRESQL = connection.vendor == "postgresql"
OTHER_ID = uuid.UUID("0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000")  # the same in each process of xdist


@pytest.fixture
def lived(acme: str) -> str:
    live_a_little(acme)
    return acme


def damage(tenant: str) -> Damaged:
    with pytest.raises(Damaged) as caught:
        verify(tenant)
    return caught.value


def change(cursor: CursorWrapper, tenant: str, seq: int, assignment: str) -> None:
    cursor.execute(
        f"UPDATE events_event SET {assignment} WHERE tenant_id = %s AND seq = %s", [tenant, seq]
    )
    assert cursor.rowcount == 1


def chain_again(cursor: CursorWrapper, tenant: str) -> None:
    """What a thorough forger does: every hash fits the changed rows, and the head fits too."""
    tip, event = chain.genesis(Tenant.objects.get(slug=tenant).log_id), None
    prior = tip
    for event in Event.objects.filter(tenant=tenant).order_by("seq"):
        prior = tip
        tip = chain.link(tip, event.seq, event.recorded_at, leaf_of(event))
        cursor.execute("UPDATE events_event SET hash = %s WHERE event_id = %s", [tip, key(event)])
    assert event is not None
    cursor.execute(
        "UPDATE events_tenanthead SET hash = %s, prior_hash = %s, seq = %s, recorded_at = %s "
        "WHERE tenant_id = %s",
        [tip, prior, event.seq, stored_moment(event.recorded_at), tenant],
    )


def stored_moment(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def key(event: Event) -> uuid.UUID | str:
    return event.event_id if ON_POSTGRESQL else event.event_id.hex


def leaf_of(event: Event) -> bytes:
    return chain.leaf(
        tenant=event.tenant_id,
        **{
            name: getattr(event, name)
            for name in (
                "event_id",
                "stream_type",
                "stream_id",
                "version",
                "type",
                "schema_version",
                "occurred_at",
                "actor",
                "reason",
                "correlation_id",
                "causation_id",
                "traceparent",
                "origin",
                "data",
            )
        },
    )


def test_a_log_that_was_only_appended_to_is_whole(lived: str) -> None:
    head = TenantHead.objects.get(tenant=lived)

    said = manage("verify_log", "--tenant", lived)

    short = bytes(head.hash).hex()[:8]
    assert said.out == f"{lived}: {head.seq} events verified, head {head.seq}-{short}\n"


def test_a_log_longer_than_a_page_is_whole(lived: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in (1, 2, 7, TenantHead.objects.get(tenant=lived).seq):
        monkeypatch.setattr(verifying, "PAGE", page)

        assert verify(lived).seq == TenantHead.objects.get(tenant=lived).seq


def test_a_tenant_without_events_is_whole(acme: str) -> None:
    assert verify(acme).seq == 0


@pytest.mark.parametrize(
    "assignment",
    [
        "data = replace(data, 'occurred_at', 'occured_at')",
        "data = data || ' '",
        "actor = 'user:mallory'",
        "reason = NULL",
        "reason = ''",
        "correlation_id = NULL",
        "causation_id = ''",
        "traceparent = ''",
        "origin = '{}'",
        "stream_id = 'two-2'",
        "stream_type = 'agents'",
        "version = version + 100",
        "type = 'AgentPausedEvent'",
        "schema_version = '1.1'",
        "occurred_at = '2020-01-01 00:00:00'",
        f"event_id = '{OTHER_ID if ON_POSTGRESQL else OTHER_ID.hex}'",
    ],
)
def test_a_change_of_any_column_is_found(lived: str, assignment: str) -> None:
    with tampering() as cursor:
        change(cursor, lived, 5, assignment)

        found = damage(lived)

    assert (found.tenant, found.seq) == (lived, 5)
    assert "hash does not follow" in found.why


@pytest.mark.parametrize("digest", [b"", b"\x01" * 32, b"\x02" * 31, b"\x03" * 33])
def test_a_changed_hash_is_found(lived: str, digest: bytes) -> None:
    with tampering() as cursor:
        cursor.execute(
            "UPDATE events_event SET hash = %s WHERE tenant_id = %s AND seq = 6", [digest, lived]
        )

        assert damage(lived).seq == 6


@pytest.mark.parametrize("seq", [1, 4])
def test_a_deleted_event_is_found(lived: str, seq: int) -> None:
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_event WHERE tenant_id = %s AND seq = %s", [lived, seq])

        found = damage(lived)

    assert (found.seq, found.why) == (seq, f"it is missing; the next event is {seq + 1}.")


def test_a_deleted_end_is_found(lived: str) -> None:
    last = verify(lived).seq
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_event WHERE tenant_id = %s AND seq = %s", [lived, last])

        found = damage(lived)

    assert (found.seq, found.why) == (last, "it is missing, and so are all up to the head.")


def test_an_event_before_the_first_is_found(lived: str) -> None:
    with tampering() as cursor:
        change(cursor, lived, 4, "seq = 0")

        assert damage(lived).seq == 1


def test_an_event_beyond_the_head_is_found(lived: str) -> None:
    last = verify(lived).seq
    with tampering() as cursor:
        cursor.execute("UPDATE events_tenanthead SET seq = seq - 1 WHERE tenant_id = %s", [lived])

        found = damage(lived)

    assert (found.seq, found.why) == (last, f"it lies beyond the head, which is at {last - 1}.")


def test_two_events_that_changed_places_are_found(lived: str) -> None:
    with tampering() as cursor:
        change(cursor, lived, 3, "seq = -3")
        change(cursor, lived, 4, "seq = 3")
        change(cursor, lived, -3, "seq = 4")

        assert damage(lived).seq == 3


@pytest.mark.parametrize("column", ["hash", "recorded_at"])
def test_a_head_that_differs_from_the_last_event_is_found(lived: str, column: str) -> None:
    with tampering() as cursor:
        value = b"\x07" * 32 if column == "hash" else "2100-01-01 00:00:00"
        cursor.execute(
            f"UPDATE events_tenanthead SET {column} = %s WHERE tenant_id = %s", [value, lived]
        )

        assert "the head has another" in damage(lived).why


def test_a_log_under_another_id_is_found(lived: str) -> None:
    with tampering() as cursor:
        other = uuid.uuid4()
        cursor.execute(
            "UPDATE events_tenant SET log_id = %s WHERE slug = %s",
            [other if ON_POSTGRESQL else other.hex, lived],
        )

        assert damage(lived).seq == 1


def test_a_log_without_a_head_is_found(acme: str) -> None:
    with tampering() as cursor:
        cursor.execute("DELETE FROM events_tenanthead WHERE tenant_id = %s", [acme])

        assert "has no head" in damage(acme).why


def test_time_that_went_back_is_found_even_when_every_hash_fits(lived: str) -> None:
    with tampering() as cursor:
        change(cursor, lived, 5, "recorded_at = '2020-01-01 00:00:00'")
        chain_again(cursor, lived)

        found = damage(lived)

    assert (found.seq, found.why) == (5, "it was recorded before the event that it follows.")


@pytest.mark.parametrize("version", [2, 40])
def test_a_version_that_does_not_follow_is_found_even_when_every_hash_fits(
    acme: str, version: int
) -> None:
    make_agent(acme, "one")
    make_agent(acme, "two")
    with tampering() as cursor:
        change(cursor, acme, 2, f"version = {version}")
        chain_again(cursor, acme)

        found = damage(acme)

    assert (found.seq, found.why) == (2, "its version does not follow in its stream.")


def test_a_thorough_forgery_of_content_alone_is_the_one_thing_that_cannot_be_seen(
    lived: str,
) -> None:
    """That is what checkpoints are for; here we know what we promise."""
    with tampering() as cursor:
        change(cursor, lived, 5, "actor = 'user:mallory'")
        chain_again(cursor, lived)

        assert verify(lived).seq == TenantHead.objects.get(tenant=lived).seq


@pytest.mark.parametrize(
    "assignment",
    [
        "occurred_at = 'infinity'",
        "recorded_at = '-infinity'",
        "recorded_at = '294276-12-31 23:59:59Z'",
        "occurred_at = '4713-01-01 00:00:00Z BC'",
    ]
    if ON_POSTGRESQL
    else [
        "occurred_at = 'soon'",
        "recorded_at = 'soon'",
        "event_id = 'none'",
        "data = x'ff'",
        "hash = 'text'",
        "hash = CAST(hash AS TEXT)",
        "version = CAST(x'ff41' AS TEXT)",
        "version = 'first'",
        "version = 1.5",
        "data = CAST(data AS BLOB)",
        "data = CAST(x'7bff7d' AS TEXT)",
        "event_id = upper(event_id)",
        "recorded_at = replace(recorded_at, ' ', 'T')",
        "recorded_at = replace(recorded_at, '.', ',')",
        "occurred_at = occurred_at || '0'",
    ],
)
def test_what_no_append_would_write_is_damage_and_no_crash(lived: str, assignment: str) -> None:
    with tampering() as cursor:
        change(cursor, lived, 5, assignment)

        assert damage(lived).seq == 5


def test_what_is_appended_meanwhile_is_no_damage(lived: str) -> None:
    before = verify(lived).seq

    def slow_walk(*arguments: Any) -> Any:
        make_agent(lived, "meanwhile")
        return walk(*arguments)

    assert verify(lived, walk=slow_walk).seq == before
    assert verify(lived).seq > before


STRAYS = {"NULL": "(no tenant)"} if ON_POSTGRESQL else {
    "NULL": "(no tenant)",
    "x'ff00'": r"b'\xff\x00'",
    "CAST(x'ff41' AS TEXT)": r"b'\xffA'",
    "'a' || char(10)": r"'a\n'",
}  # fmt: skip


def test_events_whose_tenant_is_no_name_are_found(lived: str) -> None:
    with owning() as cursor:
        for seq, value in enumerate(STRAYS, 5):
            change(cursor, lived, seq, f"tenant_id = {value}")

        with pytest.raises(CommandError, match=f"{len(STRAYS) + 1} logs are damaged"):
            manage("verify_log")
        assert set(STRAYS.values()) <= set(logs())
        assert all("has no head" in damage(name).why for name in STRAYS.values())


def test_a_tenant_whose_events_are_out_of_the_unique_keys_reach_is_found_once(lived: str) -> None:
    with owning() as cursor:
        change(cursor, lived, 5, "seq = NULL")

        assert (damage(lived).seq, damage(lived).why) == (1, "an event lies before it.")


def test_a_head_that_promises_more_than_any_log_holds_ends_the_search(lived: str) -> None:
    last = verify(lived).seq
    with tampering() as cursor:
        cursor.execute("UPDATE events_tenanthead SET seq = %s WHERE tenant_id = %s", [2**62, lived])

        assert damage(lived).seq == last + 1


def test_of_a_hole_in_a_stream_and_a_broken_chain_behind_it_the_hole_is_named(acme: str) -> None:
    for agent in ("one", "two", "three"):
        make_agent(acme, agent)
    with tampering() as cursor:
        change(cursor, acme, 2, "version = 9")
        chain_again(cursor, acme)
        change(cursor, acme, 3, "actor = 'user:mallory'")

        assert (damage(acme).seq, damage(acme).why) == (
            2,
            "its version does not follow in its stream.",
        )


if not ON_POSTGRESQL:  # a PostgreSQL server keeps UTF-8 alone

    def test_bytes_that_are_no_text_are_damage_even_when_every_hash_fits(lived: str) -> None:
        rows = load(lived)
        last = rows[-1] | {"data": ""}
        leaf = sha256(chain_by_hand.leaf_input(last)[:-4] + b"\0\0\0\1\xff").digest()
        digest = chain.link(rows[-2]["hash"], last["seq"], last["recorded_at"], leaf)
        with tampering() as cursor:
            change(
                cursor, lived, last["seq"], f"hash = x'{digest.hex()}', data = CAST(x'ff' AS TEXT)"
            )
            cursor.execute(
                "UPDATE events_tenanthead SET hash = %s WHERE tenant_id = %s", [digest, lived]
            )

            assert damage(lived).seq == last["seq"]
            assert damage(lived).why == "it holds what no append writes."


def test_an_event_that_is_there_twice_is_called_so(lived: str) -> None:
    with owning() as cursor:
        cursor.execute(
            "INSERT INTO events_event SELECT * FROM events_event WHERE tenant_id = %s AND seq = 5",
            [lived],
        )

        assert (damage(lived).seq, damage(lived).why) == (5, "it is there more than once.")


def test_another_prior_hash_of_the_head_is_found(lived: str) -> None:
    with tampering() as cursor:
        cursor.execute(
            "UPDATE events_tenanthead SET prior_hash = %s WHERE tenant_id = %s", [b"x" * 32, lived]
        )

        assert damage(lived).why == "the head's prior hash is none of this log."


def test_events_of_a_tenant_that_is_none_are_found(lived: str) -> None:
    stranger = f"{lived[:40]}-0"
    with tampering() as cursor:
        change(cursor, lived, verify(lived).seq, f"tenant_id = '{stranger}'")

        assert stranger in list(logs())
        assert "has no head" in damage(stranger).why


def test_the_command_names_tenant_seq_and_reason_and_still_verifies_the_others(
    lived: str, globex: str
) -> None:
    with tampering() as cursor:
        change(cursor, lived, 5, "actor = 'user:mallory'")

        with pytest.raises(CommandError) as caught:
            manage("verify_log")

    assert str(caught.value).startswith(f"{lived}: seq 5: its hash does not follow")
    assert verify(globex).seq == 0


def test_several_damaged_logs_are_all_named(lived: str, globex: str) -> None:
    live_a_little(globex)
    with tampering() as cursor:
        for tenant in (lived, globex):
            change(cursor, tenant, 5, "actor = 'user:mallory'")

        with pytest.raises(CommandError) as caught:
            manage("verify_log")

    assert str(caught.value) == f"2 logs are damaged: {', '.join(sorted((lived, globex)))}."


def test_a_tenant_that_does_not_exist_is_refused(acme: str) -> None:
    with pytest.raises(CommandError, match="There is no tenant 'nowhere'"):
        manage("verify_log", "--tenant", "nowhere")


def test_the_shell_gets_the_result_last_and_exit_code_0(
    lived: str, subprocess_env: dict[str, str]
) -> None:
    done = shell(subprocess_env, "verify_log", "--tenant", lived)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == str(verify(lived))
