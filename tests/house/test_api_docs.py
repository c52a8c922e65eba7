"""/api/v1/docs: the document for people, under the same strict policy as every page."""

import re
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

PAGE = "/api/v1/docs"


def page() -> str:
    response = Client().get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


def test_it_needs_no_login_and_shows_the_document() -> None:
    assert 'data-document="/api/v1/openapi.json"' in page()


def test_nothing_in_it_is_inline_or_from_elsewhere() -> None:
    text = page()

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert re.findall(r"<script(?![^>]* src=)", text) == []
    addresses = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(addresses) > 5
    assert all(each.startswith(("/", "#")) and not each.startswith("//") for each in addresses)


def test_all_that_it_asks_for_is_served_here() -> None:
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page()):
        with closing(Client().get(path)) as response:
            assert response.status_code == 200, path


def test_the_icons_that_our_policy_refuses_are_replaced() -> None:
    """Swagger UI's own are data: URLs. A new one that we do not replace is noticed here."""
    style = finders.find("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css")
    assert isinstance(style, str)
    css = re.sub(r"@media[^{]*forced-colors[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", _text(style))
    drawn = {
        re.sub(r"^html\.dark-mode ", "", selector.strip())
        for selectors in re.findall(r"([^{}]+)\{[^{}]*url\(\"data:image/svg", css)
        for selector in selectors.split(",")
    }

    assert drawn == {
        ".swagger-ui select",
        ".swagger-ui .copy-to-clipboard button",
        ".swagger-ui .download-contents button",
        ".swagger-ui .model-toggle:after",
        ".swagger-ui .checkbox input[type=checkbox]:checked+label>.item",
        ".swagger-ui .dialog-ux .modal-ux .checkbox input[type=checkbox]:checked+label>.item",
    }


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_is_for_reading(method: str) -> None:
    assert Client().generic(method, PAGE).status_code == 405


def test_a_slash_more_is_another_path() -> None:
    assert Client().get(PAGE + "/").status_code == 404
