"""The list of conversations in a real browser: live on every page, renamed, deleted and taken back, searched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from playwright.async_api import Locator, Page, expect

from tests.support.client import new_conversation, script, turn
from tests.support.replica_client import eventually
from tests.support.service import Api, Person
from tests.web.pages import OpenPage, happens, hold, listed

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def at(end: str) -> re.Pattern[str]:
    """An address that ends so."""
    return re.compile(f"{re.escape(end)}$")


async def test_second_device_moves_the_conversation_to_the_top_by_itself(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    first = await new_conversation(as_visitor, title="Rome")
    await new_conversation(as_visitor, title="Lisbon")
    tab = await open_page()
    await expect(listed(tab.page)).to_have_text(["Lisbon", "Rome"])
    await turn(as_visitor, first)
    await expect(listed(tab.page)).to_have_text(["Rome", "Lisbon"])
    assert tab.console_errors == []


async def test_conversations_of_another_device_come_change_and_go(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    tab = await open_page()
    await expect(tab.page.get_by_text("No conversations yet")).to_be_visible()
    made = await new_conversation(as_visitor, title="Porto")
    await expect(listed(tab.page)).to_have_text(["Porto"])
    await as_visitor.patch(f"/v1/conversations/{made}", json={"title": "Porto in June"})
    await expect(listed(tab.page)).to_have_text(["Porto in June"])
    await as_visitor.delete(f"/v1/conversations/{made}")
    await expect(tab.page.get_by_text("No conversations yet")).to_be_visible()


async def test_renaming_is_stored_and_escape_keeps_the_title(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    tab = await open_page()
    await listed(tab.page).first.press("F2")
    await tab.page.keyboard.type("Nothing")
    await tab.page.keyboard.press("Escape")
    await expect(listed(tab.page)).to_have_text(["Rome"])
    await tab.page.get_by_role("button", name="Actions for “Rome”").click()
    await tab.page.get_by_role("menuitem", name="Rename").click()
    await tab.page.get_by_role("textbox", name="Title").fill("Rome in May")
    async with tab.page.expect_response(lambda answer: answer.request.method == "PATCH"):
        await tab.page.keyboard.press("Enter")
    await expect(listed(tab.page)).to_have_text(["Rome in May"])
    assert (await as_visitor.get(f"/v1/conversations/{made}")).json()["title"] == "Rome in May"


async def test_renaming_by_the_menu_keeps_the_focus_whatever_was_open_before(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    await new_conversation(as_visitor, title="Rome")
    page = (await open_page()).page
    await page.get_by_role("button", name="Model: Automatic").click()
    await expect(page.get_by_role("radio", name="Automatic").first).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Actions for “Rome”").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await expect(page.get_by_role("menu")).to_have_count(0)
    await expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    await page.keyboard.type("Lisbon")
    await page.keyboard.press("Enter")
    await expect(listed(page)).to_have_text(["Lisbon"])
    await expect(listed(page)).to_be_focused()


async def test_focus_stays_in_the_list_when_a_conversation_is_deleted(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    for title in ("Rome", "Lisbon", "Porto"):
        await new_conversation(as_visitor, title=title)
    page = (await open_page()).page
    await listed(page).nth(1).press("Delete")
    await expect(page.get_by_role("link", name="Rome")).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(page.get_by_role("link", name="Porto")).to_be_focused()
    await expect(listed(page)).to_have_text(["Porto"])


async def test_deleting_can_be_taken_back(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    tab = await open_page(f"/c/{made}")
    # the composer takes the focus from the link to its own page
    await expect(tab.page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    await listed(tab.page).first.press("Delete")
    await expect(tab.page.get_by_text("No conversations yet")).to_be_visible()
    await expect(tab.page).to_have_url(at("/"))
    await tab.page.get_by_role("button", name="Undo").click()
    await expect(listed(tab.page)).to_have_text(["Rome"])
    await expect(tab.page).to_have_url(at(f"/c/{made}"))
    assert (await as_visitor.get(f"/v1/conversations/{made}")).status_code == 200


async def edges(place: Locator) -> tuple[float, float]:
    """Where it begins and ends on the page, from above."""
    box = await place.bounding_box()
    assert box is not None
    return box["y"], box["y"] + box["height"]


async def test_deletion_that_is_not_taken_back_is_final(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, visitor: Person
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    shown = await new_conversation(as_visitor, title="Lisbon")
    tab = await open_page(f"/c/{shown}")
    # the button that sends is not to be covered
    composer, _ = await edges(tab.page.get_by_role("textbox", name="Message", exact=True))
    draft = f"localStorage['parley.draft.{visitor.id}.{made}']"
    await tab.page.evaluate(f"{draft} = 'half a thought'")
    async with tab.page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        await listed(tab.page).filter(has_text="Rome").press("Delete")
        message = tab.page.get_by_role("dialog").filter(has_text="is deleted")
        assert (await edges(message))[1] <= composer
        await message.get_by_role("button", name="Close").click()
    assert (await deleted.value).status == 204
    assert (await as_visitor.get(f"/v1/conversations/{made}")).status_code == 404
    await eventually(lambda: tab.page.evaluate(f"{draft} === undefined"))


async def test_failed_deletion_brings_the_conversation_back(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    await new_conversation(as_visitor, title="Rome")
    tab = await open_page()
    await tab.page.route("**/v1/conversations/*", lambda route: route.abort())
    await listed(tab.page).first.press("Delete")
    await tab.page.get_by_role("dialog").filter(has_text="is deleted").get_by_role("button", name="Close").click()
    await expect(tab.page.get_by_text("No connection")).to_be_visible()
    await expect(listed(tab.page)).to_have_text(["Rome"])


async def test_search_marks_what_it_finds_and_opens_it(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    made = await new_conversation(as_visitor, title="Churches")
    await turn(as_visitor, made, script(pieces=["The <b>dome</b> & the light of Sant'Ivo"]))
    await new_conversation(as_visitor, title="Something else")
    tab = await open_page()
    await expect(listed(tab.page)).to_have_count(2)
    await tab.page.keyboard.press("ControlOrMeta+K")
    await tab.page.keyboard.type("dome ligh")
    hits = tab.page.get_by_role("link").filter(has=tab.page.locator("mark"))
    await expect(hits.locator("mark").first).to_have_text("dome")
    # what the text has of HTML is text
    await expect(hits.first).to_contain_text("<b>dome</b> & the light")
    await expect(tab.page.get_by_role("status").filter(has_text="results")).to_be_visible()
    await hits.first.click()
    await expect(tab.page).to_have_url(re.compile(f"/c/{made}\\?m="))
    await expect(hits.and_(tab.page.locator("[aria-current=page]"))).to_have_count(1)
    # the conversation takes the focus once it is there
    await expect(tab.page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    await tab.page.get_by_role("textbox", name="Search conversations").fill("nothing of that kind")
    await expect(tab.page.get_by_text("Nothing found")).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(listed(tab.page)).to_have_count(2)
    assert tab.console_errors == []


@asynccontextmanager
async def without_chat(page: Page) -> AsyncIterator[None]:
    """Hold the chat back while the rest of the page is there. It is there afterwards."""
    held = await hold(page, "**/assets/ChatPane-*.js")
    yield
    await eventually(lambda: held)
    for route in held:
        await route.continue_()
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()


async def test_page_that_comes_late_leaves_the_focus_where_one_writes(open_page: OpenPage) -> None:
    tab = await open_page("/documents")
    await expect(tab.page.get_by_role("heading", name="Documents")).to_be_visible()
    async with without_chat(tab.page):
        await tab.page.get_by_role("link", name="New conversation").click()
        await tab.page.keyboard.press("ControlOrMeta+K")
        await tab.page.keyboard.type("Ro")
    await tab.page.keyboard.type("me")
    await expect(tab.page.get_by_role("textbox", name="Search conversations")).to_have_value("Rome")


async def test_page_that_comes_late_leaves_the_focus_in_the_list(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    for title in ("Rome", "Lisbon"):
        await new_conversation(as_visitor, title=title)
    tab = await open_page("/documents")
    async with without_chat(tab.page):
        await tab.page.get_by_role("link", name="New conversation").click()
        await listed(tab.page).first.focus()
        await tab.page.keyboard.press("ArrowDown")
    await tab.page.keyboard.press("ArrowUp")
    await expect(listed(tab.page).first).to_be_focused()


async def test_title_of_the_open_conversation_is_that_of_its_page(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    tab = await open_page(f"/c/{made}")
    await expect(tab.page).to_have_title("Rome · Parley")
    await as_visitor.patch(f"/v1/conversations/{made}", json={"title": "Rome in May"})
    await expect(tab.page).to_have_title("Rome in May · Parley")
    await as_visitor.delete(f"/v1/conversations/{made}")
    await expect(tab.page.get_by_text("This page does not exist")).to_be_visible()


async def test_titles_are_text(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    title = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    await new_conversation(as_visitor, title=title)
    tab = await open_page()
    await expect(listed(tab.page)).to_have_text([title])
    assert tab.console_errors == []


async def test_older_conversations_come_as_one_scrolls(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    for number in range(55):
        await new_conversation(as_visitor, title=f"Number {number}")
    tab = await open_page()
    await expect(listed(tab.page).nth(49)).to_have_text("Number 5")
    await listed(tab.page).nth(49).scroll_into_view_if_needed()
    await expect(listed(tab.page)).to_have_count(55)
    await expect(listed(tab.page).last).to_have_text("Number 0")


async def test_list_is_read_again_where_live_updates_are_away(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    """Offline and back: what happened meanwhile is there, and the page has said that it was away."""
    await new_conversation(as_visitor, title="Rome")
    tab = await open_page()
    await expect(listed(tab.page)).to_have_text(["Rome"])
    await tab.page.context.set_offline(True)
    await expect(tab.page.get_by_role("status").filter(has_text="You are offline")).to_be_visible()
    await new_conversation(as_visitor, title="Lisbon")
    is_told = await happens(
        tab.page,
        "[...document.querySelectorAll('[role=status]')].some((one) => one.textContent.includes('back online'))",
    )
    await tab.page.context.set_offline(False)
    await is_told()
    await expect(listed(tab.page)).to_have_text(["Lisbon", "Rome"])


async def test_everything_can_be_reached_by_keyboard(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    first = await new_conversation(as_visitor, title="Rome")
    second = await new_conversation(as_visitor, title="Lisbon")
    tab = await open_page()
    await expect(listed(tab.page)).to_have_count(2)
    keyboard = tab.page.keyboard
    await keyboard.press("ControlOrMeta+K")
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowDown")
    await keyboard.press("Enter")
    await expect(tab.page).to_have_url(at(f"/c/{first}"))
    message = tab.page.get_by_role("textbox", name="Message", exact=True)
    await expect(message).to_be_focused()
    await keyboard.press("ControlOrMeta+K")
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowUp")
    await keyboard.press("Enter")
    await expect(tab.page).to_have_url(at(f"/c/{second}"))
    await expect(message).to_be_focused()
    # a question mark in a message is a letter
    await keyboard.type("Why?")
    await expect(message).to_have_value("Why?")
    await message.fill("")
    await keyboard.press("Shift+Tab")
    await keyboard.press("?")
    sheet = tab.page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(sheet).to_be_visible()
    await keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await keyboard.press("Shift+Escape")
    await expect(message).to_be_focused()
    await keyboard.press("ControlOrMeta+Shift+O")
    await expect(tab.page).to_have_url(at("/"))
    await keyboard.press("ControlOrMeta+B")
    await expect(listed(tab.page)).to_have_count(0)
    await keyboard.press("ControlOrMeta+B")
    await expect(listed(tab.page)).to_have_count(2)


async def test_first_tab_stop_leads_to_the_conversation(open_page: OpenPage) -> None:
    tab = await open_page("/documents")
    await expect(tab.page.get_by_role("heading", name="Documents")).to_be_visible()
    await tab.page.keyboard.press("Tab")
    skip = tab.page.get_by_role("link", name="Skip to the conversation")
    await expect(skip).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.get_by_role("main")).to_be_focused()


async def test_on_a_phone_the_list_is_a_drawer(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    tab = await open_page(**PHONE)
    await tab.page.get_by_role("button", name="Show conversations").click()
    drawer = tab.page.get_by_role("dialog", name="Conversations")
    await drawer.get_by_role("link", name="Rome").click()
    await expect(tab.page).to_have_url(at(f"/c/{made}"))
    await expect(drawer).to_be_hidden()
    width = await tab.page.evaluate("document.documentElement.scrollWidth")
    assert width == 360


async def test_conversation_that_is_gone_says_so(open_page: OpenPage, web_api: Api) -> None:
    tab = await open_page("/c/0198c0de-0000-7000-8000-000000000000")
    await expect(tab.page.get_by_text("This page does not exist")).to_be_visible()
    await tab.page.get_by_role("link", name="Start a conversation").click()
    await expect(tab.page).to_have_url(f"{web_api.url}/")


async def test_renaming_in_the_drawer_gives_the_focus_back(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    await new_conversation(as_visitor, title="as it is")
    tab = await open_page("/", viewport={"width": 360, "height": 700})
    await tab.page.get_by_role("textbox", name="Message", exact=True).wait_for()
    await tab.page.keyboard.press("Control+k")
    drawer = tab.page.get_by_role("dialog")
    link = drawer.get_by_role("link", name="as it is")
    await link.press("F2")
    await drawer.get_by_role("textbox", name="Title").press("Escape")
    await expect(link).to_be_focused()
    await expect(drawer).to_be_visible()


async def test_renaming_that_is_left_for_the_composer_leaves_the_focus_there(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    await new_conversation(as_visitor, title="as it was")
    tab = await open_page("/")
    await listed(tab.page).press("F2")
    await tab.page.get_by_role("textbox", name="Title").fill("as it is")
    message = tab.page.get_by_role("textbox", name="Message", exact=True)
    await message.click()
    await expect(listed(tab.page)).to_have_text("as it is")
    await expect(message).to_be_focused()
