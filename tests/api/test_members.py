"""Members and tokens of a tenant, which its admins manage."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.api.conftest import Caller, body_of
from tests.api.test_hostile import BODIES


@pytest.fixture
def dave(committed_db: None) -> str:
    name = f"dave-{uuid.uuid4().hex[:8]}+x@example.org"
    User.objects.create_user(name)
    return name


class TestMembers:
    def test_a_member_comes_changes_and_goes(self, alice: Caller, dave: str) -> None:
        response = alice.post("/members", {"username": dave, "role": "auditor"})
        assert response.status_code == 201
        assert body_of(response) == {"username": dave, "role": "auditor", "suspended": False}
        assert body_of(alice.get(response["Location"])) == body_of(response)
        path = f"/members/{dave}"
        changed = alice.made(alice.patch(path, {"role": "operator", "suspended": True}))
        assert changed == {"username": dave, "role": "operator", "suspended": True}
        assert body_of(alice.get("/members"))["items"] == [changed]
        gone = alice.delete(path)
        assert (gone.status_code, gone.content) == (204, b"")
        assert "Content-Type" not in gone
        assert alice.get(path).status_code == 404
        facts = [each["type"] for each in body_of(alice.get("/events?types=Member*"))["items"]]
        assert facts == ["MemberAdded", "MemberChanged", "MemberRemoved"]

    def test_each_write_says_its_seq(self, alice: Caller, dave: str) -> None:
        for method, path, body in (
            ("POST", "/members", {"username": dave, "role": "auditor"}),
            ("PATCH", f"/members/{dave}", {"role": "operator"}),
            ("PATCH", f"/members/{dave}", {"role": "operator"}),
            ("DELETE", f"/members/{dave}", None),
        ):
            response = alice.request(method, path, body)
            assert response["AgentMesh-Seq"] == str(body_of(alice.get("/events"))["head"])

    def test_the_last_admin_stays(self, alice: Caller, dave: str) -> None:
        alice.made(alice.post("/members", {"username": dave, "role": "admin"}))
        path = f"/members/{dave}"
        for response in (alice.delete(path), alice.patch(path, {"suspended": True})):
            body = body_of(response)
            assert (response.status_code, body["code"]) == (409, "rule_violated")
            assert body["rule"] == "last_admin"

    def test_a_member_is_added_once(self, alice: Caller, dave: str) -> None:
        order = {"username": dave, "role": "auditor"}
        alice.made(alice.post("/members", order))
        response = alice.post("/members", order)
        assert (response.status_code, body_of(response)["code"]) == (409, "already_exists")

    def test_a_replay_is_the_first_answer(self, alice: Caller, dave: str) -> None:
        order = {"username": dave, "role": "auditor"}
        first = alice.post("/members", order, Idempotency_Key="k")
        again = alice.post("/members", order, Idempotency_Key="k")
        assert (again.status_code, again.content) == (201, first.content)
        assert again["Location"] == first["Location"]
        for body in ({"role": "admin"}, {}):
            path, key = f"/members/{dave}", f"k{len(body)}"
            one, two = (alice.patch(path, body, Idempotency_Key=key) for _ in range(2))
            assert (two.content, two["Idempotent-Replayed"]) == (one.content, "true")

    @pytest.mark.parametrize(
        ("order", "pointer"),
        [
            ({"username": "no-such-person", "role": "auditor"}, "/username"),
            ({"username": 5, "role": "auditor"}, "/username"),
            ({"username": "x" * 9_999, "role": "auditor"}, "/username"),
            ({"role": "auditor"}, "/username"),
            ({"username": "x", "role": "agent"}, "/role"),
            ({"username": "x", "role": "king"}, "/role"),
            ({"username": "x", "role": "admin", "x": 1}, "/x"),
        ],
        ids=str,
    )
    def test_a_wrong_field_is_pointed_at(
        self, alice: Caller, order: dict[str, Any], pointer: str
    ) -> None:
        response = alice.post("/members", order)
        assert response.status_code == 400
        assert body_of(response)["errors"][0]["pointer"] == pointer

    def test_no_body_breaks_a_change(self, alice: Caller, dave: str) -> None:
        alice.made(alice.post("/members", {"username": dave, "role": "auditor"}))
        for raw in (*BODIES.values(), b'{"role": 5}', b'{"suspended": "true"}', b'{"role": "x"}'):
            assert alice.patch(f"/members/{dave}", raw).status_code == 400

    def test_a_walk_sees_each_member_once(self, alice: Caller) -> None:
        names = sorted(f"p{index}-{uuid.uuid4().hex[:6]}" for index in range(5))
        for name in names:
            User.objects.create_user(name)
            alice.made(alice.post("/members", {"username": name, "role": "auditor"}))
        assert walk(alice, "/members?limit=2", "username") == names


class TestTokens:
    def test_a_token_is_made_shown_once_and_revoked(self, alice: Caller) -> None:
        order = {"name": "ci", "role": "operator", "expires_at": "2999-01-01T00:00:00Z"}
        response = alice.post("/tokens", order)
        token = body_of(response)
        secret = token.pop("token")
        assert token["expires_at"] == "2999-01-01T00:00:00.000000Z"
        ci = Caller(alice.tenant, secret)
        assert body_of(ci.get("/api/v1/me"))["expires_at"] == token["expires_at"]
        seen = body_of(alice.get(response["Location"]))
        assert seen.pop("last_used_at") is not None
        assert seen == {key: value for key, value in token.items() if key != "last_used_at"}
        assert secret not in alice.get("/tokens").content.decode()
        for _ in range(2):
            assert alice.delete(response["Location"]).status_code == 204
        assert body_of(alice.get(response["Location"]))["revoked_at"] is not None
        assert ci.get("/agents").status_code == 401
        facts = [each["type"] for each in body_of(alice.get("/events?types=TokenRev*"))["items"]]
        assert facts == ["TokenRevoked"]

    @pytest.mark.parametrize(
        ("order", "pointer"),
        [
            ({"name": "", "role": "auditor"}, "/name"),
            ({"name": "x" * 101, "role": "auditor"}, "/name"),
            ({"name": "x"}, "/role"),
            ({"name": "x", "role": "king"}, "/role"),
            ({"name": "x", "role": "agent"}, "/agent_id"),
            ({"name": "x", "role": "agent", "agent_id": "a/b"}, "/agent_id"),
            ({"name": "x", "role": "admin", "agent_id": "abc"}, "/agent_id"),
            ({"name": "x", "role": "admin", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
            ({"name": "x", "role": "admin", "expires_at": 5}, "/expires_at"),
        ],
        ids=str,
    )
    def test_a_wrong_field_is_pointed_at(
        self, alice: Caller, order: dict[str, Any], pointer: str
    ) -> None:
        response = alice.post("/tokens", order)
        assert response.status_code == 400
        assert body_of(response)["errors"][0]["pointer"] == pointer

    def test_a_walk_sees_each_token_once(self, alice: Caller) -> None:
        names = ["alice"]
        for index in range(6):
            names.append(f"t{index}")
            alice.made(alice.post("/tokens", {"name": names[-1], "role": "auditor"}))
        assert walk(alice, "/tokens?limit=2", "name") == names


def walk(caller: Caller, path: str, field: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    for _ in range(20):
        page = body_of(caller.get(path + cursor))
        found += [each[field] for each in page["items"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
    raise AssertionError("The walk has no end.")
