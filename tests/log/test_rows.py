"""Rows that are true on return: written with the events, or neither is."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agents.models import TaskClaim
from events.log.append import append
from events.log.errors import RowRefused
from events.log.proposal import Proposal
from events.log.rows import How, Put
from events.models import IdempotencyKey, Token
from tests.log.sample import NOON, fault, head, heartbeat, heartbeats, proposed, stored

# One proposal as one statement; the same, inside a transaction; as one of many, in bulk.
PATHS = ["statement", "transaction", "bulk"]


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(path: str, tenant: str, *rows: Put) -> int:
    """Append one event with `rows` by `path`; the seq of that event."""
    version = len([row for row in stored(tenant) if row["stream_id"] == "a-1"])
    proposal = proposed(heartbeat(), version=version, rows=rows)
    if path == "statement":
        return append(tenant, proposal).seq
    if path == "transaction":
        return append(tenant, proposal, within=lambda: None).seq
    others = len(stored(tenant)) - version
    before = proposed(*heartbeats(3, "b-1"), agent_id="b-1", version=others // 2)
    after = proposed(*heartbeats(3, "b-2"), agent_id="b-2", version=others // 2)
    return append(tenant, before, proposal, after).seq - 3


def claim(
    tenant: str, how: How, *, only_if: Mapping[str, Any] | None = None, **changed: Any
) -> Put:
    key = {"tenant_id": tenant, "task_id": changed.pop("task_id", "t-1")}
    values = {
        "agent_id": "a-1",
        "status": "assigned",
        "assigned_version": 1,
        "assigned_at": NOON,
        "attempts": "[]",
    } | changed
    return Put(TaskClaim, how, key, values, "seq", only_if or {})


def claims(tenant: str) -> list[tuple[str, str, int]]:
    found = TaskClaim.objects.filter(tenant=tenant).order_by("task_id")
    return list(found.values_list("task_id", "agent_id", "seq"))


def test_a_new_row_knows_the_seq_of_its_event(acme: str, path: str) -> None:
    seq = write(path, acme, claim(acme, How.INSERT))

    row = TaskClaim.objects.get(tenant=acme)
    assert (row.task_id, row.agent_id, row.seq) == ("t-1", "a-1", seq)
    assert row.assigned_at == NOON


def test_a_row_that_exists_cannot_be_inserted(acme: str, path: str) -> None:
    write("statement", acme, claim(acme, How.INSERT))
    refused = claim(acme, How.INSERT, agent_id="a-9")

    _is_refused(path, acme, refused)


def test_an_update_changes_the_row_that_matches(acme: str, path: str) -> None:
    write("statement", acme, claim(acme, How.INSERT))

    seq = write(path, acme, claim(acme, How.UPDATE, agent_id="a-2", only_if={"agent_id": "a-1"}))

    assert claims(acme) == [("t-1", "a-2", seq)]


@pytest.mark.parametrize("how", [How.UPDATE, How.UPSERT])
def test_only_if_pins_the_row_as_it_stands(acme: str, path: str, how: How) -> None:
    write("statement", acme, claim(acme, How.INSERT))
    refused = claim(acme, how, agent_id="a-2", only_if={"agent_id": "a-1", "status": "failed"})

    _is_refused(path, acme, refused)


def test_an_update_of_a_row_that_does_not_exist_is_refused(acme: str, path: str) -> None:
    _is_refused(path, acme, claim(acme, How.UPDATE))


def test_an_upsert_makes_the_row_and_then_replaces_it(acme: str, path: str) -> None:
    first = write(path, acme, claim(acme, How.UPSERT))
    assert claims(acme) == [("t-1", "a-1", first)]

    second = write(path, acme, claim(acme, How.UPSERT, agent_id="a-2", only_if={"seq": first}))
    assert claims(acme) == [("t-1", "a-2", second)]


def test_only_if_can_ask_for_null(acme: str, path: str) -> None:
    token = Token.objects.create(tenant_id=acme, name="ci", role="auditor", digest=acme.encode())
    key = {"id": token.id}
    revoke = Put(Token, How.UPDATE, key, {"revoked_at": NOON}, only_if={"revoked_at": None})

    write(path, acme, revoke)
    assert Token.objects.get(tenant=acme).revoked_at == NOON

    _is_refused(path, acme, revoke)


def test_one_refused_row_among_good_ones_is_the_one_that_is_named(acme: str, path: str) -> None:
    write("statement", acme, claim(acme, How.INSERT, task_id="t-2"))
    good = [claim(acme, How.INSERT, task_id=f"t-{n}") for n in (1, 3)]
    refused = claim(acme, How.INSERT, task_id="t-2", agent_id="a-9")

    _is_refused(path, acme, refused, among=(good[0], refused, good[1]))


def test_rows_of_several_tables_share_one_fate(acme: str, path: str) -> None:
    key = Put(
        IdempotencyKey,
        How.INSERT,
        {"tenant_id": acme, "scope": b"s" * 32},
        {"fingerprint": b"f" * 32, "status": 200, "body": "{}", "created_at": NOON},
        "seq",
    )
    seq = write(path, acme, claim(acme, How.INSERT), key)
    assert IdempotencyKey.objects.get(tenant=acme).seq == seq

    _is_refused(path, acme, key, among=(claim(acme, How.INSERT, task_id="t-2"), key))


def test_a_row_with_null_where_none_may_be_is_refused(acme: str, path: str) -> None:
    _is_refused(path, acme, claim(acme, How.INSERT, agent_id=None))


def test_in_bulk_every_row_gets_the_seq_of_its_own_proposal(acme: str) -> None:
    batch = [
        proposed(
            *heartbeats(2, f"a-{n}"),
            agent_id=f"a-{n}",
            rows=[claim(acme, How.INSERT, task_id=f"t-{n}", agent_id=f"a-{n}")],
        )
        for n in range(4)
    ]

    append(acme, *batch)

    assert claims(acme) == [(f"t-{n}", f"a-{n}", 2 * n + 2) for n in range(4)]


def test_a_row_can_have_the_seq_of_an_earlier_event_of_its_append(acme: str) -> None:
    for number, others in enumerate(((), [proposed(heartbeat("b-1"), agent_id="b-1")])):
        row = replace(claim(acme, How.UPSERT, task_id=f"t-{number}"), events_after=2)
        facts = heartbeats(4, f"a-{number}")

        append(acme, proposed(*facts, agent_id=f"a-{number}", rows=[row]), *others)

    assert claims(acme) == [("t-0", "a-1", 2), ("t-1", "a-1", 6)]


def test_many_upserts_of_one_append_make_rows_and_replace_rows(acme: str) -> None:
    write("statement", acme, claim(acme, How.INSERT, task_id="t-1"))
    rows = [claim(acme, How.UPSERT, task_id=f"t-{n}", agent_id=f"a-{n}") for n in range(40)]
    proposals = [
        proposed(heartbeat(f"b-{n}"), agent_id=f"b-{n}", rows=rows[n::4]) for n in range(4)
    ]

    append(acme, *proposals)

    expected = [(f"t-{n}", f"a-{n}", n % 4 + 2) for n in range(40)]
    assert claims(acme) == sorted(expected)


@pytest.mark.parametrize("second", [How.UPSERT, How.UPDATE])
def test_of_two_rows_for_one_key_the_later_one_stands(acme: str, second: How) -> None:
    rows = [claim(acme, How.UPSERT), claim(acme, second, agent_id="a-2")]
    proposals = [proposed(heartbeat(f"b-{n}"), agent_id=f"b-{n}", rows=[rows[n]]) for n in range(2)]

    append(acme, *proposals)

    assert claims(acme) == [("t-1", "a-2", 2)]


def test_two_proposals_of_one_append_cannot_claim_the_same(acme: str) -> None:
    batch = [
        proposed(
            heartbeat(f"a-{n}"),
            agent_id=f"a-{n}",
            rows=[claim(acme, How.INSERT, agent_id=f"a-{n}")],
        )
        for n in range(2)
    ]

    with pytest.raises(RowRefused) as refusal:
        append(acme, *batch)

    assert refusal.value.row is batch[1].rows[0]
    assert (stored(acme), claims(acme)) == ([], [])


def test_a_row_never_changes_another_tenants(acme: str, globex: str, path: str) -> None:
    write("statement", globex, claim(globex, How.INSERT))

    write(path, acme, claim(acme, How.INSERT, agent_id="a-2"))
    _is_refused(path, acme, claim(acme, How.UPDATE, task_id="t-9"))

    assert claims(globex) == [("t-1", "a-1", 1)]


def test_moments_and_bytes_in_rows_are_kept_exactly(acme: str, path: str) -> None:
    moment = NOON + timedelta(microseconds=1)
    scope = bytes(range(32))
    values = {"fingerprint": scope[::-1], "status": 201, "body": '{"a": 1.0}', "created_at": moment}
    key = Put(IdempotencyKey, How.INSERT, {"tenant_id": acme, "scope": scope}, values, "seq")

    write(path, acme, key)

    row = IdempotencyKey.objects.get(tenant=acme, created_at=moment)
    assert (bytes(row.scope), bytes(row.fingerprint)) == (scope, scope[::-1])
    assert row.body == '{"a": 1.0}'


def test_a_proposal_of_rows_alone_goes_with_the_others(acme: str) -> None:
    alone = Proposal("agent", "a-2", 0, [], proposed().context, [claim(acme, How.INSERT)])

    append(acme, proposed(heartbeat()), alone)

    assert claims(acme) == [("t-1", "a-1", 1)]


def _is_refused(path: str, tenant: str, refused: Put, among: tuple[Put, ...] = ()) -> None:
    before = stored(tenant), head(tenant), claims(tenant)

    with pytest.raises(RowRefused) as refusal:
        write(path, tenant, *(among or (refused,)))

    assert refusal.value.row is refused
    assert (stored(tenant), head(tenant), claims(tenant)) == before
    assert fault(tenant) is None


@pytest.mark.parametrize("how", [How.INSERT, How.UPDATE, How.UPSERT])
def test_of_many_rows_written_together_the_refused_one_is_named(acme: str, how: How) -> None:
    known = [1, 10, 11] if how is not How.INSERT else [10]
    for number in known:
        write("statement", acme, claim(acme, How.INSERT, task_id=f"t-{number}"))
    before = claims(acme)
    pin = {} if how is How.INSERT else {"agent_id": "a-1"}
    rows = [claim(acme, how, task_id=f"t-{n}", agent_id="a-2", only_if=pin) for n in (1, 11)]
    pin = {} if how is How.INSERT else {"agent_id": "a-9"}
    refused = claim(acme, how, task_id="t-10", agent_id="a-2", only_if=pin)
    proposals = [
        proposed(heartbeat(f"b-{n}"), agent_id=f"b-{n}", rows=[row])
        for n, row in enumerate((rows[0], refused, rows[1]))
    ]

    with pytest.raises(RowRefused) as refusal:
        append(acme, *proposals)

    assert refusal.value.row is refused
    assert claims(acme) == before


def test_rows_of_several_shapes_and_one_table_are_all_written(acme: str) -> None:
    for number in range(3):
        write("statement", acme, claim(acme, How.INSERT, task_id=f"t-{number}"))
    rows = [claim(acme, How.INSERT, task_id=f"t-{n}", agent_id="a-3") for n in (3, 4)]
    rows += [claim(acme, How.UPDATE, task_id=f"t-{n}", agent_id="a-4") for n in (1, 2)]
    ended = Put(
        TaskClaim, How.UPDATE, {**rows[0].key, "task_id": "t-0"}, {"status": "failed"}, "seq"
    )

    append(
        acme,
        *(
            proposed(heartbeat(f"b-{n}"), agent_id=f"b-{n}", rows=[row])
            for n, row in enumerate([*rows, ended])
        ),
    )

    assert claims(acme) == [
        *(("t-0", "a-1", 8), ("t-1", "a-4", 6), ("t-2", "a-4", 7)),
        *(("t-3", "a-3", 4), ("t-4", "a-3", 5)),
    ]
    assert TaskClaim.objects.get(tenant=acme, task_id="t-0").status == "failed"
