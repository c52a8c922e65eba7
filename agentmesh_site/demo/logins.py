"""Files with secrets: the one in which a newcomer finds the logins, and the one of the agents."""

import json
import os
import secrets
from pathlib import Path
from typing import TypeVar

import msgspec

Kept = TypeVar("Kept")


class UserLogin(msgspec.Struct):
    username: str
    password: str
    tenant: str
    role: str


class TokenLogin(msgspec.Struct, omit_defaults=True):
    tenant: str
    role: str
    token: str
    agent_id: str | None = None


class Logins(msgspec.Struct):
    """What the newcomer's file holds; others read it too, so its form stays."""

    url: str = ""
    users: list[UserLogin] = []
    tokens: list[TokenLogin] = []

    def password_of(self, username: str) -> str | None:
        return next((each.password for each in self.users if each.username == username), None)

    def token_of(self, tenant: str, role: str) -> str | None:
        found = (each.token for each in self.tokens if (each.tenant, each.role) == (tenant, role))
        return next(found, None)


def read(path: Path) -> Logins:
    """The newcomer's file; none when it is lost or spoilt."""
    return read_kept(path, Logins) or Logins()


def read_kept(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def write(path: Path, kept: object) -> None:
    """Replace the file as a whole; nobody else may read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(msgspec.to_builtins(kept), file, indent=2)
        file.write("\n")
    draft.replace(path)
