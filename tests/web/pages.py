"""The pages of the web client as a user sees them: found by role and name, never by class."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.async_api import Locator, Page, Route, expect

from scripts.local_supabase import LocalSupabase
from tests.support.browser import PATIENCE_MS, Tab
from tests.support.replica_client import eventually
from tests.support.service import Api, Person

expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "correct horse battery staple"


async def session_script(stack: LocalSupabase, person: Person) -> str:
    """A script that signs a page in, with the session where supabase-js keeps it."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{stack.url}/auth/v1/token",
            params={"grant_type": "password"},
            headers={"apikey": stack.publishable_key},
            json={"email": person.email, "password": PASSWORD},
        )
        answer.raise_for_status()
    kept = json.dumps(answer.text)
    # only once: a page that signs out must stay so
    return f"if (!localStorage.getItem('sb-127-auth-token')) localStorage.setItem('sb-127-auth-token', {kept})"


async def happens(page: Page, condition: str) -> Callable[[], Awaitable[None]]:
    """Watch from now on whether `condition` (JavaScript) is ever true, if only for a moment. What is returned waits
    for it."""
    await page.evaluate(
        f"""() => {{
          window.happened = false
          const look = () => {{ window.happened ||= Boolean({condition}) }}
          const all = {{ attributes: true, characterData: true, childList: true, subtree: true }}
          new MutationObserver(look).observe(document.body, all)
        }}"""
    )
    return lambda: eventually(lambda: page.evaluate("window.happened"))


RATE_LIMITED: dict[str, Any] = {
    "status": 429,
    "headers": {"Retry-After": "2", "Content-Type": "application/problem+json"},
    "body": '{"type":"urn:parley:problem:rate_limited","title":"Too many","status":429,"code":"rate_limited"}',
}
"""What `Route.fulfill` answers with where the limit of a minute is reached."""


async def refuse(page: Page, address: str, answer: dict[str, Any], *, times: int = 1) -> list[str]:
    """Have the page's first calls of `address` answered with `answer`. The list of all that come."""
    called: list[str] = []

    async def answered(route: Route) -> None:
        called.append(route.request.url)
        if len(called) > times:
            await route.continue_()
        else:
            await route.fulfill(**answer)

    await page.route(address, answered)
    return called


async def hold(page: Page, address: str, *, method: str | None = None) -> list[Route]:
    """Keep the page's calls of `address` from now on, those with this method alone if there is one. They may be
    answered later."""
    held: list[Route] = []

    async def came(route: Route) -> None:
        if method in (None, route.request.method):
            held.append(route)
        else:
            await route.continue_()

    await page.route(address, came)
    return held


def listed(page: Page) -> Locator:
    """The conversations at the side, in their order."""
    return page.get_by_role("navigation", name="Conversations").get_by_role("link")


@dataclass
class Chat:
    """A page with a conversation."""

    tab: Tab
    api: Api

    @property
    def page(self) -> Page:
        return self.tab.page

    @property
    def message(self) -> Locator:
        """The composer's field."""
        return self.page.get_by_role("textbox", name="Message", exact=True)

    @property
    def replies(self) -> Locator:
        return self.page.get_by_role("article", name="Reply")

    @property
    def questions(self) -> Locator:
        return self.page.get_by_role("article", name="You")

    @property
    def list(self) -> Locator:
        """What scrolls."""
        return self.page.get_by_role("region", name="Messages")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def send(self, text: str) -> None:
        await self.message.fill(text)
        await self.message.press("Enter")

    async def edit(self) -> Locator:
        """Open the only question to be edited. Its field."""
        await self.questions.hover()
        await self.button("Edit").click()
        return self.page.get_by_role("textbox", name="Edit the message")

    async def ended(self) -> None:
        """Wait until no reply is being written."""
        await expect(self.replies).not_to_have_count(0)
        await expect(self.button("Stop the reply")).to_have_count(0)

    @property
    def conversation(self) -> str:
        """The id in the page's address."""
        return self.page.url.rpartition("/c/")[2]


OpenChat = Callable[..., Awaitable[Chat]]
OpenPage = Callable[..., Awaitable[Tab]]
"""Opens the client at a path, signed in."""
