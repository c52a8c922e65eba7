"""The secret key of an installation that only its own machine can reach."""

import os
import secrets
import stat
from pathlib import Path

from agentmesh_site.environment import WrongSetting

REMEDY = "Set AGENTMESH_SECRET_KEY, or delete the file for a new key (everybody signs in again)."


def local_secret_key(path: Path) -> str:
    """The key in `path`, made there (mode 0600) by whoever comes first, and kept."""
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise WrongSetting(
                "AGENTMESH_SECRET_KEY",
                f"is kept in {path}, which others can read",
                f"Run `chmod 600 {path}`, or delete the file for a new key.",
            )
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(
            "AGENTMESH_SECRET_KEY",
            f"is not set, and {path} cannot be read or made ({type(error).__name__})",
            REMEDY,
        ) from error
    if len(key) < 50:  # noqa: PLR2004 -- Django's own measure, security.W009
        raise WrongSetting("AGENTMESH_SECRET_KEY", f"is kept in {path}, which is damaged", REMEDY)
    return key


def _make(path: Path) -> None:
    """Written aside and linked into place: two first starts at once agree on one whole key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(64) + "\n")
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first; its key is as good
    finally:
        draft.unlink()
