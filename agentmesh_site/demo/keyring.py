"""The tokens of the demo's agents and of whoever gives them work, in a file that stays.

Each is issued once. One that was lost, or revoked by a person, is issued anew at the next start.
"""

from pathlib import Path

import msgspec

from agentmesh_site.demo import logins
from agentmesh_site.demo.desk import Desk

NAME = "demo {}"
DISPATCHER = "dispatcher"


class Key(msgspec.Struct):
    token_id: str
    token: str


class Keyring:
    """Of one tenant. `admin` may issue tokens; the file holds the other tenants' too."""

    def __init__(self, file: Path, tenant: str, admin: Desk) -> None:
        self.file = file
        self.tenant = tenant
        self.admin = admin
        self._keys = self._kept().get(tenant, {})

    async def settle(self) -> None:
        """Forget the keys that open nothing, and revoke those of ours that nobody has any more."""
        standing = {
            each["id"]: each["name"]
            for each in await self.admin.all_of("tokens")
            if each["revoked_at"] is None
        }
        self._keys = {owner: key for owner, key in self._keys.items() if key.token_id in standing}
        held = {key.token_id for key in self._keys.values()}
        ours = NAME.format("")
        for token_id, name in standing.items():
            if name.startswith(ours) and name not in _ROLES and token_id not in held:
                await self.admin.revoke(token_id)

    async def of_agent(self, agent_id: str) -> str:
        body = {"name": NAME.format(agent_id), "role": "agent", "agent_id": agent_id}
        return await self._of(agent_id, body)

    async def of_dispatcher(self) -> str:
        return await self._of(DISPATCHER, {"name": NAME.format(DISPATCHER), "role": "operator"})

    async def _of(self, owner: str, body: dict[str, str]) -> str:
        if owner not in self._keys:
            made = await self.admin.order("tokens", body)
            self._keys[owner] = Key(made["id"], made["token"])
            logins.write(self.file, self._kept() | {self.tenant: self._keys})
        return self._keys[owner].token

    def _kept(self) -> dict[str, dict[str, Key]]:
        return logins.read_kept(self.file, dict[str, dict[str, Key]]) or {}


_ROLES = frozenset(NAME.format(role) for role in ("admin", "operator", "auditor", "agent"))
