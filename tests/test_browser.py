"""The browser of the tests: it runs scripts, and reaches this machine alone; the packed one serves as well."""

from __future__ import annotations

import asyncio
import os

import pytest
from playwright.async_api import Error, async_playwright

from tests.support.browser import NewPage, browser, new_page, unpacked_chromium
from tests.support.upstream import Upstream

__all__ = ["browser", "new_page"]


async def test_pages_run_scripts_and_tell_what_went_wrong(new_page: NewPage) -> None:
    tab = await new_page()
    await tab.page.goto("data:text/html,<p id=told></p><script>told.textContent = 1 + 1; console.error('oh')</script>")
    assert await tab.page.inner_text("#told") == "2"
    assert tab.console_errors == ["oh"]


async def test_this_machine_is_reached_and_no_other(new_page: NewPage, upstream: Upstream) -> None:
    tab = await new_page()
    await tab.page.goto(f"{upstream.url}/models")
    assert "scripted" in await tab.page.content()
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await tab.page.goto("http://example.com/")
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await tab.page.goto("http://192.0.2.1/")
    assert tab.foreign == ["http://example.com/", "http://192.0.2.1/"]
    tab.foreign.clear()


async def test_packed_browser_serves_where_none_is_installed() -> None:
    program, variables = await asyncio.to_thread(unpacked_chromium)
    async with async_playwright() as playwright:
        packed = await playwright.chromium.launch(executable_path=program, env={**os.environ, **variables})
        page = await packed.new_page()
        assert await page.evaluate("1 + 1") == 2
        await packed.close()
