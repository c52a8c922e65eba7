"""A person's browser, which notices what its user would not: errors, violations, strangers."""

from dataclasses import dataclass, field
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
)

from tests.pages.conftest import Person

WIDE, NARROW = 1280, 390
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEIGHT = 900
BAD_REQUEST = 400
OWN_SCHEMES = ("data:", "blob:")
VIOLATED = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI || "inline"}`));"""
# What the browser says of an answer that the person meant to get is seen in the answer.
ANSWERED = "Failed to load resource: the server responded with a status of"


@dataclass
class Visits:
    """`visits(person, path)` opens a page as that person sees it.

    `faults` collects all that no page may do: a line each.
    """

    browser: Browser
    url: str
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self, person: Person | None, path: str, *, width: int = WIDE, dark: bool = False
    ) -> Page:
        context = self.browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": HEIGHT},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        self.contexts.append(context)
        if person is not None:
            session = person.client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": self.url}])
        context.add_init_script(VIOLATED)
        page = context.new_page()
        page.on("console", self._said)
        page.on("pageerror", self._broke)
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(ANSWERED):
            self.faults.append(f"console {message.type}: {message.text}")

    def _broke(self, error: Error) -> None:
        self.faults.append(f"script: {error}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url, *OWN_SCHEMES)):
            self.faults.append(f"foreign request: {request.url}")

    def _answered(self, response: Response) -> None:
        is_page = response.request.is_navigation_request()
        if response.status >= (500 if is_page else BAD_REQUEST):
            self.faults.append(f"{response.status}: {response.url}")


def barriers(page: Page) -> list[str]:
    """What axe finds in the page as it stands, in both themes: a line each."""
    found: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for violation in Axe().run(page).response["violations"]:
            found += [_told(theme, violation, node) for node in violation["nodes"]]
    return found


def _told(theme: str, violation: dict[str, Any], node: dict[str, Any]) -> str:
    where = node["html"].replace("\n", " ")[:200]
    return f"{theme}: {violation['id']} ({violation['help']}): {where}"


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than its window; 0 is as it should be."""
    wider: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider
