"""The pages of this section, one beside the other."""

from collections.abc import Mapping
from typing import Any

TABS = (
    ("overview", "Overview", "admin:proof"),
    ("verifications", "Verifications", "admin:verifications"),
    ("checkpoints", "Checkpoints and keys", "admin:checkpoints"),
    ("bundle", "Audit bundle", "admin:bundle"),
)


def around(tab: str, title: str) -> Mapping[str, Any]:
    """What each of the pages tells its frame."""
    return {"section": "proof", "title": title, "tab": tab, "tabs": TABS}
