"""Asking for a verification over the API, and what is told of the log meanwhile and afterwards."""

import pytest
from django.utils import timezone

from events import checkpoints
from events.models import Verification
from events.verifications.turn import Turn
from tests.api.conftest import Caller, People, body_of
from tests.api.test_members import walk

VERIFICATIONS = "/integrity/verifications"


def work(tenant: str) -> None:
    """As the worker does, for this tenant."""
    for asked in Verification.objects.filter(tenant=tenant, finished_at=None):
        Turn(asked, lambda: False).run()


def test_a_verification_is_asked_for_waits_and_passes(people: People) -> None:
    people.bob.create()
    response = people.carol.post(VERIFICATIONS)
    asked = body_of(response)
    head = body_of(people.carol.get("/events"))["head"]
    path = f"/api/v1/tenants/{people.carol.tenant}{VERIFICATIONS}/{asked['id']}"
    assert (response.status_code, response["Location"]) == (202, path)
    assert response["AgentMesh-Seq"] == str(head)
    assert asked["status"] == "queued"
    assert asked["requested_by"] == "token:carol"
    assert asked["progress"] == {"seq": 0, "head": head}
    assert asked["result"] is None
    assert body_of(people.bob.get(path)) == asked

    work(people.carol.tenant)

    done = body_of(people.bob.get(path))
    assert (done["status"], done["progress"]) == ("passed", {"seq": head, "head": head})
    newest = body_of(people.carol.get("/events?order=desc&limit=1"))["items"][0]
    assert done["result"] == {
        "verified_seq": head,
        "hash": newest["hash"],
        "checkpoints": 0,
        "newest_checkpoint_seq": None,
    }
    assert done["requested_at"] <= done["started_at"] <= done["finished_at"]
    assert body_of(people.carol.get("/events"))["head"] == head  # it is no part of the log


def test_what_is_damaged_is_told_with_its_first_seq(people: People) -> None:
    # How it is found is tested in tests/verifications.
    made = Verification.objects.create(
        tenant_id=people.alice.tenant,
        status=Verification.Status.FAILED,
        requested_by="user:carol",
        head=9,
        seq=4,
        bad_seq=5,
        bad_last=7,
        why="its hash does not follow: it or its place was changed.",
        started_at=timezone.now(),
        finished_at=timezone.now(),
    )
    told = body_of(people.alice.get(f"{VERIFICATIONS}/{made.id}"))
    assert told["status"] == "failed"
    assert told["result"] == {"first_bad_seq": 5, "last_bad_seq": 7, "why": made.why}
    state = body_of(people.bob.get("/integrity"))
    assert (state["status"], state["last_verification"]) == ("damaged", told)
    assert state["verified_seq"] is None


def test_the_state_of_the_log_is_told_at_each_step(people: People) -> None:
    people.alice.get("/integrity")  # who is there from now on
    people.bob.create()
    head = body_of(people.bob.get("/events?order=desc&limit=1"))
    before = body_of(people.bob.get("/integrity"))
    newest = head["items"][0]
    assert before == {
        "status": "unverified",
        "head": {
            "seq": head["head"],
            "hash": newest["hash"],
            "recorded_at": newest["recordedat"],
        },
        "verified_seq": None,
        "last_verification": None,
        "open_verification": None,
        "last_checkpoint": None,
    }
    checkpoints.take(people.alice.tenant)
    asked = body_of(people.alice.post(VERIFICATIONS))
    assert body_of(people.bob.get("/integrity"))["open_verification"] == asked
    work(people.alice.tenant)
    people.bob.create()
    after = body_of(people.bob.get("/integrity"))
    assert (after["status"], after["verified_seq"]) == ("verified", head["head"])
    assert after["last_verification"]["id"] == asked["id"]
    assert after["last_verification"]["result"]["checkpoints"] == 1
    assert after["open_verification"] is None
    assert after["last_checkpoint"]["seq"] == head["head"]
    assert after["head"]["seq"] > head["head"]


def test_who_asks_while_one_is_open_gets_that_one(people: People) -> None:
    first, second = people.carol.post(VERIFICATIONS), people.alice.post(VERIFICATIONS)
    assert (second.status_code, second["Location"]) == (202, first["Location"])
    work(people.alice.tenant)
    assert people.alice.post(VERIFICATIONS)["Location"] != first["Location"]


def test_a_replay_is_the_first_answer(carol: Caller) -> None:
    first = carol.post(VERIFICATIONS, Idempotency_Key="k")
    work(carol.tenant)
    again = carol.post(VERIFICATIONS, Idempotency_Key="k")
    assert (again.status_code, again.content) == (202, first.content)
    assert (again["Location"], again["Idempotent-Replayed"]) == (first["Location"], "true")
    assert carol.post(VERIFICATIONS, {"x": 1}, Idempotency_Key="k").status_code == 400
    assert len(body_of(carol.get(VERIFICATIONS))["items"]) == 1


def test_a_walk_sees_each_one_once_the_newest_first(carol: Caller) -> None:
    made = []
    for _ in range(5):
        made.append(body_of(carol.post(VERIFICATIONS))["id"])
        work(carol.tenant)
    assert walk(carol, f"{VERIFICATIONS}?limit=2", "id") == made[::-1]


@pytest.mark.parametrize("wrong", ["x", "0", "%00", "x" * 999])
def test_what_is_no_id_is_not_there(carol: Caller, wrong: str) -> None:
    assert carol.get(f"{VERIFICATIONS}/{wrong}").status_code == 404


def test_a_cursor_of_another_list_is_refused(carol: Caller) -> None:
    for wrong in ("x", "WyJhIiwiYiJd", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIngiXQ"):
        assert carol.get(f"{VERIFICATIONS}?cursor={wrong}").status_code == 400


def test_it_takes_no_fields(carol: Caller) -> None:
    response = carol.post(VERIFICATIONS, {"from_seq": 1})
    assert response.status_code == 400
    assert body_of(response)["errors"][0]["pointer"] == "/from_seq"
