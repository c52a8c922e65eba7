"""The keys of an installation that only its own machine can reach: made once, kept in a file."""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from agentmesh_site.environment import KEY_BYTES, WrongSetting


def local_secret_key(path: Path) -> str:
    """The key in `path`, made there (mode 0600) by whoever comes first, and kept."""
    name = "AGENTMESH_SECRET_KEY"
    remedy = f"Set {name}, or delete the file for a new key (everybody signs in again)."
    key = _kept(path, name, remedy, lambda: secrets.token_urlsafe(64))
    if len(key) < 50:  # noqa: PLR2004 -- Django's own measure, security.W009
        raise WrongSetting(name, f"is kept in {path}, which is damaged", remedy)
    return key


def local_signing_key(path: Path) -> bytes:
    """The 32 bytes of an Ed25519 private key, kept like the secret key."""
    name = "AGENTMESH_SIGNING_KEY"
    remedy = f"Set {name}, or delete the file for a new key (old checkpoints lose theirs)."
    text = _kept(path, name, remedy, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise WrongSetting(name, f"is kept in {path}, which is damaged", remedy)
    return key


def _kept(path: Path, name: str, remedy: str, new: Callable[[], str]) -> str:
    try:
        if not path.exists():
            _make(path, new())
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise WrongSetting(
                name,
                f"is kept in {path}, which others can read",
                f"Run `chmod 600 {path}`, or delete the file for a new key.",
            )
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(
            name, f"is not set, and {path} cannot be read or made ({type(error).__name__})", remedy
        ) from error


def _make(path: Path, key: str) -> None:
    """Written aside and linked into place: two first starts at once agree on one whole key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(key + "\n")
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first; its key is as good
    finally:
        draft.unlink()
