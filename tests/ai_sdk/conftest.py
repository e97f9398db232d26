"""Pages with the AI SDK's real packages, in a real browser, against an API that they may reach."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.aimock import NODE, ROOT
from tests.support.answering import Quiet, answering
from tests.support.browser import NewPage, Tab, browser, new_page
from tests.support.documented import block
from tests.support.service import Api, Person, running_api
from tests.support.upstream import Upstream

__all__ = ["browser", "new_page"]

SOURCES = Path(__file__).parent / "page"
PAGES = ("probe", "documented")
FILES = {
    "parley.ts": block("docs/clients.md", "// parley.ts"),
    "chat.tsx": block("docs/clients.md", "// chat.tsx"),
    "plain-errors.ts": block("docs/clients.md", "// plain-errors.ts"),
}
"""The files that the documents tell a reader to write."""
RELEASES = {5: ("ai5", "ai-sdk-react2"), 6: ("ai6", "ai-sdk-react3"), 7: ("ai", "@ai-sdk/react")}
"""The packages of each major version of `ai`, as they are named here."""


OUTCOMES: dict[str, dict[int, bool]] = {}
"""Whether each test of this folder has passed, by its name and the release of `ai`."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        one = getattr(item, "callspec", None)
        releases = [one.params["release"]] if one is not None and "release" in one.params else [*RELEASES]
        OUTCOMES.setdefault(item.originalname, {}).update(dict.fromkeys(releases, report.passed))
    return report


def bundle(entry: Path, out: Path, release: int) -> None:
    """One script of a page, with the packages of a release."""
    subprocess.run([NODE, SOURCES / "bundle.mjs", entry, out, *RELEASES[release]], check=True, timeout=100)


def version(package: str) -> str:
    """Of a package as it is installed, by its name here."""
    return str(json.loads((ROOT / "node_modules" / package / "package.json").read_text())["version"])


class QuietFiles(Quiet, SimpleHTTPRequestHandler):
    """Serves files."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of the pages: `/{name}-{release}.html`, where `probe` is ours and `documented` that of the docs."""
    folder = tmp_path_factory.mktemp("site")
    for release in RELEASES:
        sources = folder / f"sources-{release}"
        shutil.copytree(SOURCES, sources)
        for name, documented in FILES.items():
            # the page is told where its API is
            told = 'new URLSearchParams(location.search).get("api")!'
            text = documented.text.replace('"https://api.example.com/v1/chat"', told)
            if name == "chat.tsx" and release < 7:
                added = text.replace("({ api, headers })", "({ api, headers, fetch: plainErrors })")
                text = f'import {{ plainErrors }} from "./plain-errors";\n{added}'
            (sources / name).write_text(text)
        for page in PAGES:
            bundle(sources / f"{page}.tsx", folder / f"{page}-{release}.js", release)
            script = f"<script type=module src={page}-{release}.js></script>"
            html = f'<!doctype html><link rel="icon" href="data:,"><div id=root></div>{script}'
            (folder / f"{page}-{release}.html").write_text(html)
    with answering(partial(QuietFiles, directory=str(folder))) as origin:
        yield origin


def address(site: str, page: str, release: int, api: str, person: Person, chat: str, *flags: str) -> str:
    query = {"api": f"{api}/v1/chat", "id": chat, "token": person.token} | dict.fromkeys(flags, "1")
    return f"{site}/{page}-{release}.html?{urlencode(query)}"


class ChatPage:
    """A page with one chat."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.page = tab.page

    async def run(self, call: str, *arguments: Any) -> None:
        """Call a method of what `useChat` returned, and do not wait for what it does."""
        await self.page.evaluate(f"arguments => {{ void chat.{call}(...arguments) }}", list(arguments))

    async def finish(self, call: str, *arguments: Any) -> None:
        """Call a method of what `useChat` returned, and wait until all that it does is shown."""
        await self.page.evaluate(f"arguments => chat.{call}(...arguments)", list(arguments))
        await self.until("ready")

    async def send(self, text: str, **message: Any) -> None:
        await self.run("sendMessage", {"text": text, **message})

    async def until(self, status: str) -> None:
        await self.page.wait_for_selector(f"main[data-status={status}]", state="attached")

    async def until_text(self, text: str) -> None:
        """The last message ends with this text."""
        await self.page.wait_for_function(
            "text => window.chat?.messages.at(-1)?.parts.map((part) => part.text ?? '').join('').endsWith(text)",
            arg=text,
        )

    @property
    async def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.page.evaluate("JSON.parse(JSON.stringify(chat.messages))")
        return found

    @property
    async def texts(self) -> list[str]:
        """Of all messages."""
        return [
            "".join(part["text"] for part in message["parts"] if part["type"] == "text")
            for message in await self.messages
        ]

    @property
    async def error(self) -> str | None:
        message: str | None = await self.page.evaluate("chat.error?.message ?? null")
        return message

    async def check_seen(self, whole: str) -> None:
        """No text that was ever shown of the last message is anything but a beginning of the whole."""
        seen = await self.page.evaluate("seen.texts")
        assert [text for text in seen if not whole.startswith(text)] == []


OpenChat = Callable[..., Awaitable[ChatPage]]


@pytest.fixture
async def open_chat(new_page: NewPage, site: str) -> OpenChat:
    """Opens `open_chat(release, api_url, person, chat_id, *flags)`; flags: `resume`, `strict`, `plain`."""

    async def opened(release: int, api: str, person: Person, chat: str, *flags: str) -> ChatPage:
        tab = await new_page()
        await tab.page.goto(address(site, "probe", release, api, person, chat, *flags))
        await tab.page.wait_for_selector("main", state="attached")
        return ChatPage(tab)

    return opened


@pytest.fixture(scope="session")
async def web_api(
    stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API that pages of this machine may call."""
    settings = {
        "OPENAI_API_KEY": "scripted",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "CORS_ALLOW_ORIGINS": "http://127.0.0.1:*",
        "TITLES": "auto",
    }
    async with running_api(stack, tmp_path_factory.mktemp("web") / "api.log", **settings) as running:
        yield running
