"""What was written and sent, and has not arrived: the session has ended, or the page was left in between."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.support.client import history, new_conversation, script, turn
from tests.support.replica_client import eventually
from tests.support.service import Person
from tests.web.pages import PASSWORD, OpenChat, refuse

END_AND_SEND = """() => {
  const key = 'sb-127-auth-token'
  const session = { ...JSON.parse(localStorage.getItem(key)), expires_at: 1, refresh_token: 'gone' }
  localStorage.setItem(key, JSON.stringify(session))
  // at once: any other call of the page would end it, too
  document.querySelector('main textarea').form.requestSubmit()
}"""


async def sign_in_again(page: Page, person: Person) -> None:
    await expect(page.get_by_text("You were signed out. Sign in again to go on")).to_be_visible()
    await page.get_by_label("Email").fill(person.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("place", ["new", "stored"])
async def test_message_of_a_session_that_has_ended_is_there_after_signing_in(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, visitor: Person, place: str
) -> None:
    conversation = await new_conversation(as_visitor) if place == "stored" else None
    chat = await open_chat(conversation)
    await chat.message.fill("a long thought")
    await chat.page.evaluate(END_AND_SEND)
    await sign_in_again(chat.page, visitor)
    await expect(chat.message).to_have_value("a long thought")
    await chat.message.fill("a long thought\n\n" + script(tokens=2))
    await chat.message.press("Enter")
    await expect(chat.replies).to_contain_text("tok1")
    await expect(chat.message).to_have_value("")
    await chat.page.reload()
    await expect(chat.replies).to_contain_text("tok1")
    await expect(chat.message).to_have_value("")


async def test_token_that_the_api_does_not_take_is_renewed(open_chat: OpenChat) -> None:
    chat = await open_chat()
    refusal = {"code": "unauthenticated", "title": "No", "status": 401, "type": "x"}
    calls = await refuse(chat.page, "**/v1/chat", {"status": 401, "json": refusal})
    await chat.send(script(tokens=2))
    await expect(chat.replies).to_contain_text("tok1")
    assert len(calls) == 2


async def test_message_that_had_not_arrived_when_the_page_was_left_goes_back_into_the_composer(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    chat = await open_chat(conversation)
    await chat.page.route("**/v1/chat", lambda route: route.abort())
    await chat.send("a long thought")
    await expect(chat.questions).to_have_text("a long thought")
    await chat.page.reload()
    await expect(chat.message).to_have_value("a long thought")
    await expect(chat.questions).to_have_count(0)
    assert await history(as_visitor, conversation) == []


async def test_message_to_a_conversation_with_replies_comes_back_after_a_reload_too(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "before")
    chat = await open_chat(conversation)
    await chat.page.route("**/v1/chat", lambda route: route.abort())
    await chat.send("a long thought")
    await expect(chat.questions.last).to_have_text("a long thought")
    await chat.page.reload()
    await expect(chat.message).to_have_value("a long thought")


async def test_edit_of_a_session_that_has_ended_is_there_after_signing_in(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, visitor: Person
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "as it was")
    chat = await open_chat(conversation)
    await (await chat.edit()).fill("as it shall be")
    await chat.page.evaluate(END_AND_SEND.replace("main textarea", "article textarea, li form textarea"))
    await sign_in_again(chat.page, visitor)
    shown = "[...document.querySelectorAll('main textarea')].some((one) => one.value === 'as it shall be')"
    await eventually(lambda: chat.page.evaluate(shown))
