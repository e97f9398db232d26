"""The API page: from this machine alone, and of use to a person."""

from __future__ import annotations

import re
from importlib.resources import files

import httpx
import pytest
import yaml

from tests.support.described import DOCUMENT

PACKAGED = files("mkdocs_swagger_ui_tag") / "swagger-ui"


@pytest.mark.parametrize("path", ["/schema", "/schema/"])
async def test_page_names_nothing_from_elsewhere(anonymous: httpx.AsyncClient, path: str) -> None:
    page = await anonymous.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(named) == {
        "data:,",
        "/schema/assets/swagger-ui.css",
        "/schema/assets/swagger-ui-bundle.js",
        "/schema/assets/start.js",
    }


async def test_browser_is_told_to_ask_nobody_else(anonymous: httpx.AsyncClient) -> None:
    policy = (await anonymous.get("/schema")).headers["content-security-policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert {source for sources in directives.values() for source in sources.split()} == {"'none'", "'self'", "data:"}


@pytest.mark.parametrize(
    ("name", "media_type", "packaged"),
    [
        ("swagger-ui-bundle.js", "text/javascript", PACKAGED / "javascripts" / "swagger-ui-bundle.js"),
        ("swagger-ui.css", "text/css", PACKAGED / "stylesheets" / "swagger-ui.css"),
    ],
)
async def test_files_come_from_the_package(
    anonymous: httpx.AsyncClient, name: str, media_type: str, packaged: object
) -> None:
    asset = await anonymous.get(f"/schema/assets/{name}")
    assert asset.status_code == 200
    assert asset.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert asset.headers["cache-control"] == "max-age=86400"
    assert asset.content == packaged.read_bytes()  # type: ignore[attr-defined]


async def test_page_shows_the_document_and_sends_it_to_no_validator(anonymous: httpx.AsyncClient) -> None:
    start = await anonymous.get("/schema/assets/start.js")
    assert start.headers["content-type"] == "text/javascript; charset=utf-8"
    assert 'url: "/schema/openapi.json"' in start.text
    assert "validatorUrl: null" in start.text


async def test_document_is_served_as_json_and_yaml(anonymous: httpx.AsyncClient) -> None:
    as_json = await anonymous.get("/schema/openapi.json")
    assert as_json.headers["content-type"] == "application/vnd.oai.openapi+json"
    assert as_json.json() == DOCUMENT
    assert yaml.safe_load((await anonymous.get("/schema/openapi.yaml")).text) == DOCUMENT


@pytest.mark.parametrize("path", ["assets/swagger.html", "assets/", "redoc", "swagger", "elements", "rapidoc"])
async def test_nothing_else_is_there(anonymous: httpx.AsyncClient, path: str) -> None:
    """Litestar's own pages load their scripts from elsewhere."""
    assert (await anonymous.get(f"/schema/{path}")).status_code == 404
