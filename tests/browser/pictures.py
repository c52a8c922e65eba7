"""The pictures of the README and docs/tour.md, taken of a demo that runs.

python -m tests.browser.pictures var/demo.json docs/img
"""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.browsers import chromium

WIDE, NARROW, HEIGHT = 1_280, 390, 900
SETTLED_MS = 1_500  # a live page has been asked for once more


@dataclass(frozen=True)
class Picture:
    """path: below /admin/t/acme/."""

    name: str
    path: str
    theme: Literal["light", "dark"] = "light"
    width: int = WIDE
    height: int = HEIGHT


def pictures(today: datetime) -> list[Picture]:
    evening = (today - timedelta(days=1)).strftime("%Y-%m-%dT22:25")
    failures = "type:AgentTaskFailedEvent since:yesterday until:today"
    paused = "type:AgentPausedEvent since:yesterday until:today"
    return [
        Picture("dashboard-light", "?range=7d"),
        Picture("dashboard-phone", "?range=7d", "dark", NARROW),
        Picture("time-machine-dark", f"agents/coder-03/history/?at={evening}", "dark"),
        Picture("agent-light", "agents/coder-03/?range=7d", height=1_400),
        Picture("tour-1-failures", f"events/?q={failures.replace(' ', '+')}"),
        Picture("tour-2-paused", f"events/?q={paused.replace(' ', '+')}", height=500),
        Picture("tour-3-time-machine", f"agents/coder-03/history/?at={evening}"),
        Picture("tour-4-fleet-then", f"agents/?at={evening}"),
        Picture("timeline-dark", "events/?q=hours:off+actor:user:*", "dark"),
        Picture("proof-light", "proof/", height=600),
    ]


def main(logins: Path, folder: Path) -> None:
    told = json.loads(logins.read_bytes())
    carol = next(each for each in told["users"] if each["role"] == "auditor")
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for each in pictures(datetime.now(UTC)):
            page = _signed_in(browser, told["url"], carol, each)
            page.goto(f"/admin/t/acme/{each.path}")
            page.wait_for_timeout(SETTLED_MS)
            page.screenshot(path=folder / f"{each.name}.png")
            page.context.close()


def _signed_in(browser: Browser, url: str, who: dict[str, str], picture: Picture) -> Page:
    context = browser.new_context(
        base_url=url,
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.theme,
    )
    page = context.new_page()
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(who["username"])
    page.get_by_label("Password").fill(who["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/**")
    return page


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
