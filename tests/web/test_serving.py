"""How the web client is served: its headers, its addresses beside those of the API, its encodings, and not at all."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from app.api.web import BUILD, chosen_encoding, content_security_policy, is_held
from scripts.local_supabase import LocalSupabase
from tests.support.service import Api, running_api

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
async def browserlike(web_api: Api) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=web_api.url, headers=PAGE) as client:
        yield client


async def test_page_comes_with_a_policy_that_allows_only_its_own_and_supabase(
    browserlike: httpx.AsyncClient, stack: LocalSupabase
) -> None:
    page = await browserlike.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": f"'self' {stack.url} {stack.url.replace('http', 'ws')}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"


async def test_page_holds_no_script_and_no_style(browserlike: httpx.AsyncClient) -> None:
    page = (await browserlike.get("/")).text
    assert re.findall(r"<script[^>]*>([^<]+)", page) == []
    assert "<style" not in page
    assert re.findall(r'\s(?:style|on\w+)="', page) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


@pytest.mark.parametrize("supabase", ["https://abc.supabase.co", "http://127.0.0.1:54321"])
def test_policy_allows_realtime_on_the_scheme_of_supabase(supabase: str) -> None:
    socket = supabase.replace("http", "ws", 1)
    assert f"connect-src 'self' {supabase} {socket};" in content_security_policy(supabase)


@pytest.mark.parametrize("path", ["/c/0198c0de-0000-7000-8000-000000000000", "/documents", "/account", "/no/such/page"])
async def test_addresses_of_the_client_are_its_page(browserlike: httpx.AsyncClient, path: str) -> None:
    page = await browserlike.get(path)
    assert (page.status_code, page.text) == (200, (await browserlike.get("/")).text)


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/nope", "/openai/v1/nope", "/health/nope", "/metrics", "/assets/gone-12345678.js"],
)
async def test_what_the_api_does_not_have_stays_a_problem(browserlike: httpx.AsyncClient, path: str) -> None:
    answer = await browserlike.get(path)
    assert answer.status_code == 404
    # below /openai a problem has the shape of OpenAI's
    assert answer.headers["content-type"] in ("application/problem+json", "application/json")


async def test_api_page_has_no_pages_below_it(browserlike: httpx.AsyncClient) -> None:
    answer = await browserlike.get("/schema/nope")
    assert answer.status_code == 404
    assert 'id="root"' not in answer.text


async def test_api_page_stays_where_it_was(browserlike: httpx.AsyncClient) -> None:
    assert "Parley's API" in (await browserlike.get("/schema")).text


@pytest.mark.parametrize("path", ["/", "/documents"])
async def test_only_reading_is_the_clients(browserlike: httpx.AsyncClient, path: str) -> None:
    answer = await browserlike.post(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_programs_that_want_no_page_get_the_problem(browserlike: httpx.AsyncClient) -> None:
    answer = await browserlike.get("/documents", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_hashed_files_are_kept_forever_and_the_page_never(browserlike: httpx.AsyncClient) -> None:
    page = await browserlike.get("/")
    assert page.headers["cache-control"] == "no-cache"
    script = re.findall(r'src="(/assets/index-[\w-]+\.js)"', page.text)[0]
    asset = await browserlike.get(script)
    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_page_that_is_held_is_not_sent_again(browserlike: httpx.AsyncClient) -> None:
    page = await browserlike.get("/")
    again = await browserlike.get("/account", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == page.headers["content-security-policy"]


async def test_head_says_what_get_would_send(browserlike: httpx.AsyncClient) -> None:
    page, head = await browserlike.get("/"), await browserlike.head("/")
    assert head.content == b""
    assert head.headers["content-length"] == page.headers["content-length"]


async def test_each_encoding_is_the_same_file_with_a_name_of_its_own(browserlike: httpx.AsyncClient) -> None:
    plain = await browserlike.get("/", headers={"Accept-Encoding": "identity"})
    zipped = await browserlike.get("/", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == zipped.headers["vary"] == "Accept-Encoding"
    assert plain.text == zipped.text == gzip.decompress((BUILD / "index.html.gz").read_bytes()).decode()
    assert plain.headers["etag"] != zipped.headers["etag"]


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("br;q=0.2, gzip;q=0.8", "gzip"),
        ("*", "br"),
        ("*;q=0", ""),
        ("gzip;q=nonsense", ""),
        ("deflate", ""),
    ],
)
def test_encoding_is_the_best_that_is_accepted(accepted: str, chosen: str) -> None:
    assert chosen_encoding(accepted, {"": b"", "br": b"", "gzip": b""}) == chosen


def test_encoding_that_the_build_lacks_is_not_chosen() -> None:
    assert chosen_encoding("br, gzip;q=0.5", {"": b"", "gzip": b""}) == "gzip"


@pytest.mark.parametrize("given", ['"a"', 'W/"a"', '"b", "a"', "*"])
def test_weak_and_listed_tags_are_held(given: str) -> None:
    assert is_held(given, '"a"')
    assert not is_held(given.replace("a", "c"), '"a"') or given == "*"


async def test_configuration_has_what_browsers_may_know(browserlike: httpx.AsyncClient, stack: LocalSupabase) -> None:
    answer = await browserlike.get("/config.json")
    assert answer.json() == {
        "api_url": "",
        "supabase_url": stack.url,
        "supabase_publishable_key": stack.publishable_key,
    }
    assert answer.headers["cache-control"] == "no-cache"


async def test_build_is_not_open_beyond_its_files(browserlike: httpx.AsyncClient) -> None:
    headers = {"Accept": "*/*"}
    for path in ("/.vite/manifest.json", "/..%2f..%2fpyproject.toml", "/assets/%2e%2e/index.html.br", "/index.html.gz"):
        assert (await browserlike.get(path, headers=headers)).status_code == 404, path


async def test_without_the_client_nothing_is_at_the_root(stack: LocalSupabase, tmp_path: Path) -> None:
    async with (
        running_api(stack, tmp_path / "api.log", WEB="off") as api,
        httpx.AsyncClient(base_url=api.url, headers=PAGE) as client,
    ):
        for path in ("/", "/config.json", "/documents", "/favicon.svg"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


async def test_requests_are_logged_by_route(browserlike: httpx.AsyncClient, web_api: Api) -> None:
    await browserlike.get("/c/0198c0de-1111-7000-8000-000000000000")
    assert "0198c0de-1111" not in web_api.log_text
    assert "/{page}" in web_api.log_text
