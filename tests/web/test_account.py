"""Signing up and in, what is left of the limits, premium, instructions, appearance, export and deleting everything."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import httpx
from playwright.async_api import expect

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection
from tests.support.client import new_conversation, turn
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, sign_up
from tests.web.pages import OpenPage


async def test_signing_up_opens_the_client_and_signing_out_closes_it(open_page: OpenPage) -> None:
    tab = await open_page(person=None)
    page = tab.page
    await page.get_by_role("button", name="New here? Create an account").click()
    await page.get_by_label("Email").fill(f"{uuid.uuid4().hex}@example.com")
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Create an account").click()
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    keys = await page.evaluate("Object.keys(localStorage).filter((key) => localStorage[key].includes('access_token'))")
    assert len(keys) == 1
    assert keys[0].startswith("sb-")
    await page.goto(page.url + "account")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await page.evaluate("Object.keys(localStorage).some((key) => localStorage[key].includes('token'))") is False
    assert tab.console_errors == []


async def test_wrong_password_is_said_in_plain_words(open_page: OpenPage, visitor: Person) -> None:
    tab = await open_page("/account", person=None)
    await tab.page.get_by_label("Email").fill(visitor.email)
    await tab.page.get_by_label("Password").fill("another one")
    await tab.page.get_by_role("button", name="Sign in").click()
    await expect(tab.page.get_by_role("alert")).to_have_text("Email and password do not belong together.")
    await tab.page.get_by_label("Password").fill("correct horse battery staple")
    await tab.page.keyboard.press("Enter")
    # the page that was asked for
    await expect(tab.page.get_by_role("heading", name="Account", exact=True)).to_be_visible()


async def test_email_that_is_taken_is_said(open_page: OpenPage, visitor: Person) -> None:
    tab = await open_page("/sign-up", person=None)
    await tab.page.get_by_label("Email").fill(visitor.email)
    await tab.page.get_by_label("Password").fill("correct horse battery staple")
    await tab.page.get_by_role("button", name="Create an account").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text("There is an account with this email")


async def test_what_is_left_is_shown_and_said_before_it_hurts(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, visitor: Person, owned: Connection
) -> None:
    plan = f"plan-{uuid.uuid4().hex[:12]}"
    owned.execute("insert into private.plans (plan, max_conversations) values (%s, 20)", [plan])
    owned.execute("update public.entitlements set plan = %s where user_id = %s", [plan, visitor.id])
    made = [await new_conversation(as_visitor) for _ in range(19)]
    await turn(as_visitor, made[0])
    tab = await open_page("/account")
    meter = tab.page.get_by_role("definition").filter(has=tab.page.get_by_role("meter", name="Conversations"))
    await expect(meter).to_contain_text("1 of 20 left")
    await expect(meter).to_contain_text("Almost used up")
    await expect(tab.page.get_by_role("row").filter(has_text="This month")).to_contain_text("1")
    await new_conversation(as_visitor)
    await tab.page.reload()
    await expect(meter).to_contain_text("Used up")


async def test_premium_is_explained(open_page: OpenPage, stack: LocalSupabase) -> None:
    tab = await open_page("/account", person=await sign_up(stack, plan=None))
    await expect(tab.page.get_by_text("A plan is needed to chat")).to_be_visible()


async def test_instructions_are_stored(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    tab = await open_page("/account")
    await tab.page.get_by_role("textbox", name="Instructions for every conversation").fill("Answer briefly.")
    await tab.page.get_by_role("button", name="Save").click()
    await expect(tab.page.get_by_text("Saved")).to_be_visible()
    assert (await as_visitor.get("/v1/settings")).json() == {"instructions": "Answer briefly."}


async def test_language_is_the_browsers_until_another_is_chosen(open_page: OpenPage) -> None:
    tab = await open_page("/account", locale="pt-PT")
    page = tab.page
    await expect(page.get_by_role("heading", name="Conta", exact=True)).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    await page.get_by_role("combobox", name="Idioma").select_option("en")
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()


async def test_chosen_theme_stays_and_is_there_before_the_page_is(open_page: OpenPage) -> None:
    tab = await open_page("/account", color_scheme="light")
    page = tab.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("combobox", name="Theme").select_option("dark")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert await page.evaluate(ground) != light
    await page.route("**/assets/*.js", lambda route: route.abort())
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_everything_is_exported_as_a_file(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, tmp_path: Path
) -> None:
    await new_conversation(as_visitor, title="Rome")
    tab = await open_page("/account")
    async with tab.page.expect_download() as download:
        await tab.page.get_by_role("button", name="Export everything").click()
    await (await download.value).save_as(tmp_path / "export")
    lines = [json.loads(line) for line in (tmp_path / "export").read_text().splitlines()]
    assert [line["type"] for line in lines] == ["parley.export", "conversation", "end"]
    assert lines[1]["title"] == "Rome"


async def test_deleting_everything_asks_for_a_word_and_takes_along_what_this_browser_keeps(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, visitor: Person
) -> None:
    conversation = await new_conversation(as_visitor, title="Rome")
    tab = await open_page(f"/c/{conversation}")
    await tab.page.get_by_role("textbox", name="Message", exact=True).fill("half a thought")
    await tab.page.get_by_role("link", name=visitor.email).click()
    written = f"Object.keys(localStorage).filter((name) => name.includes('{visitor.id}')).sort()"
    unsent = f"parley.unsent.{visitor.id}.new"
    await tab.page.evaluate(f"localStorage['{unsent}'] = localStorage['parley.draft.another.new'] = 'words'")
    await eventually(lambda: tab.page.evaluate(f"{written}.length === 2"))
    await tab.page.get_by_role("button", name="Delete everything").click()
    dialog = tab.page.get_by_role("dialog", name="Delete everything of yours?")
    order = dialog.get_by_role("button", name="Delete everything")
    await expect(order).to_be_disabled()
    await dialog.get_by_label("Type “delete” to confirm").fill("delete")
    await order.click()
    await expect(tab.page.get_by_text("Deleted: 1 conversations, 0 documents")).to_be_visible()
    assert (await as_visitor.get("/v1/conversations")).json()["items"] == []
    assert await tab.page.evaluate(written) == []
    assert await tab.page.evaluate("localStorage['parley.draft.another.new']") == "words"


async def test_service_that_is_away_is_waited_for(open_page: OpenPage, web_api: Api) -> None:
    tab = await open_page("/documents", person=None)
    away = True
    await tab.page.route("**/config.json", lambda route: route.abort() if away else route.continue_())
    await tab.page.reload()
    await expect(tab.page.get_by_text("The service cannot be reached")).to_be_visible()
    away = False
    await expect(tab.page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_focus_returns_to_what_has_opened_a_dialog(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    await as_visitor.post("/v1/keys", json={"name": "editor"})
    page = (await open_page("/account")).page
    for name, title in (
        ("Delete everything", "Delete everything of yours?"),
        ("Revoke: editor", "Revoke “editor”?"),
        ("Keyboard shortcuts", "Keyboard shortcuts"),
    ):
        opener = page.get_by_role("button", name=name)
        await opener.press("Enter")
        await expect(page.get_by_role("dialog", name=title)).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog", name=title)).to_be_hidden()
        await expect(opener).to_be_focused()
