"""A conversation in a real browser: sending, growing, stopping, cuts, versions, drafts."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support.client import script
from tests.support.upstream import Upstream
from tests.web.pages import OpenChat


async def test_a_first_message_makes_a_conversation_and_its_reply_grows(
    open_chat: OpenChat, upstream: Upstream
) -> None:
    chat = await open_chat()
    await chat.send(script(id="grows", pieces=["**Bold** and ", "plain"], stepped=True))
    call = await upstream.call("grows")
    call.step()
    await expect(chat.replies).to_contain_text("Bold and")
    await expect(chat.button("Stop the reply")).to_be_visible()
    call.step()
    await chat.ended()
    await expect(chat.replies.locator("strong")).to_have_text("Bold")
    await expect(chat.replies).to_contain_text("Bold and plain")
    assert len(chat.conversation) == 36
    assert chat.tab.console_errors == []
