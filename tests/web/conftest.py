"""The web client as it is served, in a real browser, on one API whose provider is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts import web
from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.browser import NewPage, Tab, browser, new_page
from tests.support.client import person_client
from tests.support.limits import kept_settings, owned
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream
from tests.web.pages import Chat, OpenChat, OpenPage, session_script

__all__ = ["browser", "kept_settings", "new_page", "owned"]


@pytest.fixture(scope="session")
async def web_api(
    stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API that serves the web client, with documents as sources."""
    await asyncio.to_thread(web.build)
    settings = {
        "OPENAI_API_KEY": "test-key-of-the-web-client",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "WEB": "on",
    }
    async with running_api(stack, tmp_path_factory.mktemp("web") / "api.log", **settings) as running:
        yield running


@pytest.fixture
async def visitor(stack: LocalSupabase) -> Person:
    """A user of one test alone."""
    return await sign_up(stack)


@pytest.fixture
async def as_visitor(web_api: Api, visitor: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The visitor's client of the API: another device."""
    async with person_client(web_api, visitor) as client:
        yield client


@pytest.fixture
async def open_chat(stack: LocalSupabase, web_api: Api, visitor: Person, new_page: NewPage) -> OpenChat:
    """Opens the client, signed in, at a new conversation or at a stored one."""

    async def opened(conversation: str | None = None, **context: Any) -> Chat:
        tab = await new_page(**context)
        await tab.page.add_init_script(await session_script(stack, visitor))
        await tab.page.goto(f"{web_api.url}/c/{conversation}" if conversation else f"{web_api.url}/")
        chat = Chat(tab, web_api)
        await chat.message.wait_for()
        return chat

    return opened


@pytest.fixture
async def open_page(stack: LocalSupabase, web_api: Api, visitor: Person, new_page: NewPage) -> OpenPage:
    """Opens the client at an address; as the visitor unless `person` says otherwise (None: signed out)."""

    async def opened(path: str = "/", person: Person | None = visitor, **context: Any) -> Tab:
        tab = await new_page(**context)
        if person is not None:
            await tab.page.add_init_script(await session_script(stack, person))
        await tab.page.goto(f"{web_api.url}{path}")
        return tab

    return opened
