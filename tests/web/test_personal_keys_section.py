"""Personal keys in the account: made, shown once, and revoked."""

from __future__ import annotations

import httpx
from playwright.async_api import expect

from tests.support.service import Api
from tests.web.pages import OpenPage


async def test_key_is_shown_once_works_and_is_revoked(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, web_api: Api
) -> None:
    tab = await open_page("/account")
    page = tab.page
    await expect(page.get_by_text("No keys.")).to_be_visible()
    await page.get_by_label("What it is for").fill("editor")
    await page.get_by_role("button", name="Create a key").click()
    shown = page.get_by_role("status").filter(has_text="It is not shown again").locator("code")
    await expect(shown).to_contain_text("parley_")
    key = await shown.inner_text()
    async with httpx.AsyncClient(base_url=web_api.url, headers={"Authorization": f"Bearer {key}"}) as editor:
        assert (await editor.get("/openai/v1/models")).status_code == 200
    await page.reload()
    row = page.get_by_role("main").get_by_role("listitem").filter(has_text="editor")
    await expect(row).to_contain_text(key[:11])
    assert key not in await page.content()
    await row.get_by_role("button", name="Revoke: editor").click()
    await page.get_by_role("dialog", name="Revoke “editor”?").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_text("No keys.")).to_be_visible()
    assert (await as_visitor.get("/v1/keys")).json()["items"] == []
    assert tab.console_errors == []
