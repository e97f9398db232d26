"""A real browser: one Chromium for the test session, and pages of it that reach this machine alone.

    async def test_something(new_page: NewPage, api: Api) -> None:
        tab = await new_page()
        await tab.page.goto(url)
        ...
        assert tab.console_errors == []

It is the Chromium or Chrome of the machine, else the one that the npm package `@sparticuz/chromium` holds, which is
unpacked once into `node_modules/.cache`. Playwright drives it and downloads nothing. No name but this machine's is
resolved; a page that asks another host fails its test, and so does an exception that a page does not catch.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Request, async_playwright

from tests.support.aimock import NODE, ROOT

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGE = ROOT / "node_modules/@sparticuz/chromium"
UNPACKED = ROOT / "node_modules/.cache/chromium"
LOCAL = ("127.0.0.1", "localhost", "")
"""Hosts that a page may ask; pages of `data:` and `about:` have none."""
UNPACK = f"""
const chromium = await import({str(PACKAGE / "build/index.js")!r})
await chromium.default.executablePath()
await chromium.inflate({str(PACKAGE / "bin/al2023.tar.br")!r})
"""
PATIENCE_MS = 30_000


@dataclass
class Tab:
    """A page in a browser context of its own (its own storage and cookies), and what went wrong in it."""

    page: Page
    console_errors: list[str] = field(default_factory=list)
    """What was logged as an error; the browser itself logs each answer of 400 and above, and each failed request."""
    exceptions: list[str] = field(default_factory=list)
    """Exceptions and rejections that nobody caught."""
    foreign: list[str] = field(default_factory=list)
    """Addresses of other machines that were asked for."""

    def watch(self) -> None:
        """Collect what goes wrong from now on."""

        def requested(request: Request) -> None:
            if (urlsplit(request.url).hostname or "") not in LOCAL:
                self.foreign.append(request.url)

        self.page.on("request", requested)
        self.page.on("pageerror", lambda error: self.exceptions.append(str(error)))
        self.page.on(
            "console", lambda message: self.console_errors.append(message.text) if message.type == "error" else None
        )


NewPage = Callable[..., Awaitable[Tab]]
"""Opens an empty page; takes what `Browser.new_context` takes, e.g. `viewport`, `locale`, `color_scheme`."""


def unpacked_chromium() -> tuple[Path, dict[str, str]]:
    """The browser of the npm package, and the variables that it needs where the machine lacks its libraries."""
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with (UNPACKED.parent / "chromium.lock").open("w") as lock:
        # the processes of `make test` start at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not UNPACKED.exists():
            unpacking = UNPACKED.with_suffix(".unpacking")
            shutil.rmtree(unpacking, ignore_errors=True)
            unpacking.mkdir()
            subprocess.run(
                [NODE, "--input-type=module", "--eval", UNPACK], env={"TMPDIR": str(unpacking)}, check=True, timeout=100
            )
            unpacking.rename(UNPACKED)
    variables = {"LD_LIBRARY_PATH": str(UNPACKED / "al2023/lib"), "FONTCONFIG_PATH": str(UNPACKED / "fonts")}
    return UNPACKED / "chromium", variables


def browser_program() -> tuple[Path, dict[str, str]]:
    """The browser that tests run in, and variables to be added to its environment."""
    for name in INSTALLED:
        if found := shutil.which(name):
            return Path(found), {}
    return unpacked_chromium()


@pytest.fixture(scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """A headless browser, for the whole session."""
    program, variables = browser_program()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=program,
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"],
            env={**os.environ, **variables},
        )
        yield running
        await running.close()


@pytest.fixture
async def new_page(browser: Browser) -> AsyncGenerator[NewPage]:
    """Opens pages, and closes them after the test."""
    tabs: list[Tab] = []

    async def opened(**context: Any) -> Tab:
        own = await browser.new_context(**context)
        own.set_default_timeout(PATIENCE_MS)
        tab = Tab(await own.new_page())
        tab.watch()
        tabs.append(tab)
        return tab

    yield opened
    for tab in tabs:
        await tab.page.context.close()
    assert [address for tab in tabs for address in tab.foreign] == []
    assert [text for tab in tabs for text in tab.exceptions] == []
