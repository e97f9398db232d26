"""The first minute of somebody new, offline: from signing up to a reply that cites a document of theirs."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

from playwright.async_api import expect

from scripts import web
from scripts.local_supabase import LocalSupabase
from tests.support.browser import NewPage
from tests.support.pdf import pdf
from tests.support.service import running_api
from tests.web.pages import PASSWORD, Chat

RULES = "The kitchen of the house closes at ten in the evening.\nDogs are welcome in the garden."

LENGTHS = """() => {
  window.lengths = new Set()
  const look = () => window.lengths.add(document.querySelector('[aria-label=Reply]')?.textContent.length ?? 0)
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true })
}"""


async def test_from_signing_up_to_a_cited_reply(
    stack: LocalSupabase, kept_settings: None, new_page: NewPage, tmp_path: Path
) -> None:
    await asyncio.to_thread(web.build)
    # no provider is configured: the demo answers, word by word, and cites what was found
    async with running_api(stack, tmp_path / "api.log", WEB="on", REQUIRE_PREMIUM="false", TITLES="auto") as api:
        tab = await new_page()
        page = tab.page
        await page.goto(f"{api.url}/sign-up")
        await page.get_by_label("Email").fill(f"{uuid.uuid4().hex}@example.com")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Create an account").click()
        await page.get_by_role("link", name="Documents").click()
        file = {"name": "rules.pdf", "mimeType": "application/pdf", "buffer": pdf([RULES])}
        await page.locator("input[type=file]").set_input_files(files=[file])
        await expect(page.get_by_role("main").get_by_role("listitem")).to_contain_text("1 passage")

        await page.get_by_role("link", name="New conversation").click()
        chat = Chat(tab, api)
        await page.evaluate(LENGTHS)
        await chat.send("When does the kitchen of the house close?")
        await expect(chat.replies).to_contain_text("offline demo")
        await chat.ended()
        # it has grown while it was written
        assert await page.evaluate("window.lengths.size") > 3
        await expect(chat.replies).to_contain_text("closes at ten in the evening")
        await chat.replies.get_by_role("button", name=re.compile("^Source 1: rules")).first.click()
        await expect(chat.replies.get_by_text("Dogs are welcome").last).to_be_in_viewport()
        # the conversation has its title, and everything is there after a reload
        await expect(page.get_by_role("link", name=re.compile("kitchen"))).to_be_visible()
        await page.reload()
        await expect(chat.replies).to_contain_text("closes at ten in the evening")
        assert tab.console_errors == []
