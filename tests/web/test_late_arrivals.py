"""What comes late takes nothing from the user: not the focus, not the page, not what is being written."""

from __future__ import annotations

import httpx
from playwright.async_api import Route, expect

from tests.support.callers import Connection
from tests.support.client import history, new_conversation, script, turn
from tests.support.replica_client import eventually
from tests.support.upstream import Upstream
from tests.web.pages import RATE_LIMITED, OpenChat, OpenPage, hold, listed


async def test_title_goes_on_being_written_when_another_conversation_comes_and_its_own_moves(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, owned: Connection
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    owned.execute("update public.conversations set last_message_at = now() - interval '30 days' where id = %s", [made])
    page = (await open_page("/documents")).page
    await expect(page.get_by_role("heading", name="Older")).to_be_visible()
    await listed(page).press("F2")
    await page.keyboard.type("Lisbon")
    await new_conversation(as_visitor, title="Porto")
    await expect(listed(page)).to_have_text(["Porto"])
    await page.keyboard.type(" in")
    # to another day
    await turn(as_visitor, made)
    await expect(page.get_by_role("heading", name="Older")).to_have_count(0)
    field = page.get_by_role("textbox", name="Title")
    await expect(field).to_be_focused()
    await page.keyboard.type(" May")
    await page.keyboard.press("Enter")
    await expect(listed(page)).to_have_text(["Lisbon in May", "Porto"])


async def test_edit_that_is_refused_leaves_the_focus_where_one_writes(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "as it was")
    chat = await open_chat(conversation)
    held = await hold(chat.page, "**/v1/chat")
    editor = await chat.edit()
    await editor.fill("as it shall be")
    await editor.press("Enter")
    await eventually(lambda: held)
    await chat.message.press_sequentially("the next")
    await held[0].fulfill(**RATE_LIMITED)
    await expect(editor).to_have_value("as it shall be")
    await chat.page.keyboard.type(" question")
    await expect(chat.message).to_have_value("the next question")


async def test_first_message_whose_page_was_left_is_told_when_it_fails_and_answered_when_it_does_not(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    chat = await open_chat()
    said = "first words\n\n" + script(tokens=2)
    held = await hold(chat.page, "**/v1/conversations", method="POST")

    async def leave() -> Route:
        await eventually(lambda: held)
        await chat.page.get_by_role("link", name="Documents", exact=True).click()
        await expect(chat.page.get_by_role("heading", name="Documents")).to_be_visible()
        return held.pop()

    await chat.send(said)
    await (await leave()).fulfill(**RATE_LIMITED)
    message = chat.page.get_by_role("dialog").filter(has_text="Your message was not sent")
    await expect(message).to_contain_text("A little too fast")
    await chat.page.get_by_role("link", name="New conversation").click()
    await expect(chat.message).to_have_value(said)
    await chat.message.press("Enter")
    await (await leave()).continue_()
    await expect(listed(chat.page)).to_have_count(1)

    async def is_answered() -> bool:
        (made,) = (await as_visitor.get("/v1/conversations")).json()["items"]
        return [one["status"] for one in await history(as_visitor, made["id"])] == ["complete", "complete"]

    await eventually(is_answered)
    # and nobody is taken to it
    assert chat.page.url == f"{chat.api.url}/documents"


async def test_draft_in_a_conversation_that_another_device_deletes_is_there_for_a_new_one(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    conversation = await new_conversation(as_visitor)
    chat = await open_chat(conversation)
    await chat.send(script(id="deleted meanwhile", tokens=9, stepped=True))
    (await upstream.call("deleted meanwhile")).step(2)
    await expect(chat.replies).to_contain_text("tok1")
    await chat.message.fill("the next question")
    await as_visitor.delete(f"/v1/conversations/{conversation}")
    await expect(chat.page.get_by_text("This page does not exist")).to_be_visible()
    await chat.page.get_by_role("link", name="Start a conversation").click()
    await expect(chat.message).to_have_value("the next question")


async def test_comment_that_is_scrolled_away_is_kept(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_visitor)
    for _ in range(5):
        await turn(as_visitor, conversation, script(pieces=["a line\n\n"] * 30))
    chat = await open_chat(conversation, viewport={"width": 900, "height": 400})
    await chat.replies.last.get_by_role("button", name="Bad reply").click()
    comment = chat.page.get_by_label("What was wrong? (optional)")
    await comment.fill("Too short")
    await chat.list.evaluate("element => element.scrollTo(0, 0)")
    await expect(comment).to_have_count(0)
    await chat.message.focus()
    await chat.list.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    await expect(comment).to_have_value("Too short")
    await expect(chat.message).to_be_focused()


async def test_instructions_that_cannot_be_saved_are_told_and_kept(open_page: OpenPage) -> None:
    page = (await open_page("/account")).page
    held = await hold(page, "**/v1/settings", method="PATCH")
    field = page.get_by_role("textbox", name="Instructions for every conversation")
    await field.fill("Answer briefly.")
    await page.get_by_role("button", name="Save").click()
    await eventually(lambda: held)
    await page.get_by_role("link", name="Documents", exact=True).click()
    await expect(page.get_by_role("heading", name="Documents")).to_be_visible()
    await held[0].abort()
    await expect(page.get_by_role("dialog").filter(has_text="No connection")).to_be_visible()
    await page.unroute_all()
    await page.go_back()
    await expect(field).to_have_value("Answer briefly.")
