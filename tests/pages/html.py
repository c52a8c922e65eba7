"""What the tests want to know of a page's HTML."""

import re
from html import unescape
from html.parser import HTMLParser

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
ELSEWHERE = ("http:", "https:", "//", "data:", "javascript:")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.forms: list[str] = []
        self.fields: list[str] = []
        self.labelled: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "style" or "style" in attributes:
            self.faults.append(f"inline style: {self.get_starttag_text()}")
        if tag == "script" and "src" not in attributes:
            self.faults.append("inline script")
        self.faults += [f"inline handler: {name}" for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action"):
            if attributes.get(name, "").startswith(ELSEWHERE):
                self.faults.append(f"from elsewhere: {attributes[name]}")
        if tag == "form":
            self.forms.append(attributes.get("action", ""))
        if tag == "label" and "for" in attributes:
            self.labelled.add(attributes["for"])
        typed = tag in {"input", "select", "textarea"} and attributes.get("type") != "hidden"
        if typed and "id" in attributes and "aria-label" not in attributes:
            self.fields.append(attributes["id"])


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    return reader


def what_the_policy_forbids(html: str) -> list[str]:
    """Inline styles, scripts and handlers, and whatever comes from another origin."""
    return _read(html).faults


def form_actions(html: str) -> list[str]:
    """The addresses of the page's own forms, without those of the shell around it."""
    shell = ("/admin/times/", "/admin/logout/")
    return [action for action in _read(html).forms if action not in shell]


def hidden_values(html: str, after: str) -> dict[str, str]:
    """Name → value of the hidden fields that stand behind a text, such as a form's class."""
    _, _, form = html.partition(after)
    return {name: unescape(value) for name, value in _HIDDEN.findall(form)}


def fields_without_label(html: str) -> list[str]:
    """The ids of the fields that nothing names; a field without an id stands inside its label."""
    reader = _read(html)
    return [field for field in reader.fields if field not in reader.labelled]
