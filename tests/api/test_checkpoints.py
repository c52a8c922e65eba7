"""The checkpoints of a tenant, and the keys that sign them."""

import base64

import pytest
from django.test import Client
from pytest_django import Settings

from events.checkpoints import take
from events.models import SignedCheckpoint
from events.notes import Key, Signer
from tests.api.conftest import Caller, People, body_of

SEED, EARLIER = bytes(range(32)), Signer("mesh.example.org", bytes(range(1, 33))).key


@pytest.fixture(autouse=True)
def signing(settings: Settings) -> Settings:
    settings.PUBLIC_URL = "https://mesh.example.org"
    settings.SIGNING_KEY = SEED
    settings.VERIFICATION_KEYS = (str(EARLIER),)
    return settings


class TestKeys:
    def test_anybody_gets_the_key_that_signs_and_then_the_earlier_ones(self) -> None:
        response = Client().get("/api/v1/keys")

        own = Signer("mesh.example.org", SEED).key
        assert response.status_code == 200
        assert response.json() == {
            "keys": [
                {
                    "name": "mesh.example.org",
                    "id": key.id.hex(),
                    "verifier_key": str(key),
                    "public_key": base64.b64encode(key.public).decode(),
                    "signs": key == own,
                }
                for key in (own, EARLIER)
            ]
        }

    def test_without_a_key_to_sign_with_the_earlier_ones_are_told(self, signing: Settings) -> None:
        signing.SIGNING_KEY = None

        (only,) = Client().get("/api/v1/keys").json()["keys"]

        assert Key.parse(only["verifier_key"]) == EARLIER
        assert only["signs"] is False

    def test_a_bad_token_opens_what_is_open_to_all(self) -> None:
        response = Client().get("/api/v1/keys", headers={"Authorization": "Bearer am_nonsense"})

        assert response.status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("POST", "/keys", 405), ("GET", "/keys?x=1", 400), ("GET", "/keys/", 404)],
    )
    def test_other_requests_are_refused_like_anywhere(
        self, method: str, path: str, status: int
    ) -> None:
        response = Client().generic(method, f"/api/v1{path}")

        assert response.status_code == status
        assert response["Content-Type"] == "application/problem+json"


class TestCheckpoints:
    def test_they_are_listed_newest_first_with_their_notes(
        self, alice: Caller, carol: Caller
    ) -> None:
        notes = []
        for _ in range(3):
            notes.append(take(alice.tenant))
            alice.create()
        SignedCheckpoint.objects.create(tenant_id=alice.tenant, seq=0, note="nonsense")

        items = carol.made(carol.get("/checkpoints"))["items"]

        assert [each["note"] for each in items] == [*reversed(notes), "nonsense"]
        assert set(items[0]) == {"seq", "hash", "note", "made_at"}
        event = carol.made(carol.get(f"/events?after={items[0]['seq'] - 1}&limit=1"))["items"][0]
        assert items[0]["hash"] == event["hash"]
        assert items[-1]["hash"] is None

    def test_they_come_in_pages(self, alice: Caller) -> None:
        for number in range(5):
            SignedCheckpoint.objects.create(tenant_id=alice.tenant, seq=7, note=f"note {number}")
        found, path = [], "/checkpoints?limit=2"
        while path:
            page = alice.made(alice.get(path))
            found += [each["note"] for each in page["items"]]
            path = page["next"] and f"/checkpoints?limit=2&cursor={page['next']}"

        assert found == [f"note {number}" for number in (4, 3, 2, 1, 0)]

    @pytest.mark.parametrize("cursor", ["x", "WyJhIiwiYiJd", "WyItMSIsIjEiXQ"])
    def test_a_made_up_cursor_is_refused(self, alice: Caller, cursor: str) -> None:
        response = alice.get(f"/checkpoints?cursor={cursor}")

        assert response.status_code == 400
        assert body_of(response)["errors"][0]["parameter"] == "cursor"

    def test_mallory_finds_none_of_them_among_hers(self, people: People) -> None:
        take(people.alice.tenant)

        assert people.mallory.made(people.mallory.get("/checkpoints"))["items"] == []

    def test_the_list_says_what_it_reflects(self, alice: Caller) -> None:
        head = body_of(alice.get("/events"))["head"]

        assert alice.get("/checkpoints")["AgentMesh-Seq"] == str(head)
        assert alice.get(f"/checkpoints?min_seq={head + 1}").status_code == 400
