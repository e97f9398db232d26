"""A conversation in a real browser: sending, stopping, versions, what is kept, and other devices."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
from playwright.async_api import Route, expect

from scripts.local_supabase import LocalSupabase
from tests.support.client import history, new_conversation, script, turn
from tests.support.documents import indexed, put_in
from tests.support.replica_client import eventually
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
    await expect(chat.message).to_have_value("")
    call.step()
    await chat.ended()
    await expect(chat.replies.locator("strong")).to_have_text("Bold")
    await expect(chat.replies).to_contain_text("Bold and plain")
    assert len(chat.conversation) == 36
    assert chat.tab.console_errors == []


async def test_a_reply_names_its_sources_and_its_numbers_lead_to_them(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    rules = "The kitchen of the house closes at ten in the evening. Dogs are welcome in the garden."
    await indexed(as_visitor, (await put_in(as_visitor, rules, "House rules"))["id"])
    chat = await open_chat()
    question = "When does the kitchen of the house close?\n\n" + script(pieces=["At ten", " [1]. Not [7]."])
    await chat.send(question)
    await chat.ended()
    await expect(chat.replies).to_contain_text("Not [7].")
    await expect(chat.page.get_by_text("Dogs are welcome")).to_have_count(0)
    await chat.replies.get_by_role("button", name="Source 1: House rules").first.click()
    await expect(chat.replies.get_by_text("Dogs are welcome")).to_be_in_viewport()
    # stored as it was shown
    await chat.page.reload()
    await expect(chat.replies.get_by_role("button", name="Source 1: House rules")).to_be_visible()


async def test_a_stopped_reply_keeps_its_text_and_says_so(
    open_chat: OpenChat, upstream: Upstream, as_visitor: httpx.AsyncClient
) -> None:
    chat = await open_chat()
    await chat.send(script(id="stopped on the page", tokens=50, stepped=True))
    (await upstream.call("stopped on the page")).step(3)
    await expect(chat.replies).to_contain_text("tok2")
    await chat.button("Stop the reply").click()
    await expect(chat.replies).to_contain_text("You stopped this reply.")
    await chat.ended()
    stored = (await history(as_visitor, chat.conversation))[-1]
    assert (stored["status"], stored["content"]) == ("stopped", "tok0 tok1 tok2 ")


async def test_a_stop_before_the_first_word_holds(
    open_chat: OpenChat, upstream: Upstream, as_visitor: httpx.AsyncClient
) -> None:
    chat = await open_chat()
    await chat.send(script(id="early", tokens=5, stepped=True))
    await chat.button("Stop the reply").click()
    await chat.ended()
    assert (await history(as_visitor, chat.conversation))[-1]["status"] == "stopped"


async def test_an_edit_begins_a_branch_and_arrows_go_between_the_versions(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "first " + script(pieces=["one"]))
    chat = await open_chat(conversation)
    editor = await chat.edit()
    await expect(editor).to_be_focused()
    await editor.fill("second\n\n" + script(pieces=["two"]))
    await editor.press("Enter")
    await expect(chat.replies).to_contain_text("two")
    await chat.ended()
    await expect(chat.questions).to_contain_text("2 / 2")
    await chat.button("Previous version").click()
    await expect(chat.questions).to_contain_text("first")
    await expect(chat.replies).to_contain_text("tok0")
    await expect(chat.questions).to_contain_text("1 / 2")
    assert [one["role"] for one in await history(as_visitor, conversation)] == ["user", "assistant"]
    assert "first" in (await history(as_visitor, conversation))[0]["content"]


async def test_escape_leaves_an_edit_and_changes_nothing(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "as it was")
    chat = await open_chat(conversation)
    await (await chat.edit()).fill("something else")
    await chat.page.keyboard.press("Escape")
    await expect(chat.questions).to_contain_text("as it was")
    await expect(chat.button("Edit")).to_be_focused()
    assert len(await history(as_visitor, conversation)) == 2


async def test_another_reply_stands_beside_the_first(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "again")
    chat = await open_chat(conversation)
    await expect(chat.replies).to_contain_text("tok4")
    await chat.button("Answer again").click()
    await expect(chat.replies).to_contain_text("2 / 2")
    await expect(chat.replies).to_have_count(1)
    await expect(chat.questions).to_have_count(1)


async def test_feedback_is_given_with_a_comment_and_taken_back(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    reply = await turn(as_visitor, conversation)
    chat = await open_chat(conversation)
    await chat.button("Bad reply").click()
    comment = chat.page.get_by_label("What was wrong? (optional)")
    await expect(comment).to_be_focused()
    # the row of what can be done stays whole, the comment is below it
    row = await chat.button("Answer again").element_handle()
    below = "(field, row) => row.getBoundingClientRect().bottom <= field.getBoundingClientRect().top"
    assert await comment.evaluate(below, row)
    await comment.fill("Too short")
    await chat.page.keyboard.press("Enter")
    await expect(comment).to_have_count(0)
    await expect(chat.button("Bad reply")).to_be_focused()

    async def is_stored(feedback: object) -> bool:
        return bool((await as_visitor.get(f"/v1/messages/{reply['id']}")).json()["feedback"] == feedback)

    await eventually(lambda: is_stored({"rating": "down", "comment": "Too short"}))
    await chat.button("Bad reply").click()
    await expect(chat.button("Bad reply")).to_have_attribute("aria-pressed", "false")
    await eventually(lambda: is_stored(None))


async def test_a_draft_survives_a_reload_and_belongs_to_its_place(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    chat = await open_chat(conversation)
    await chat.message.fill("half a thought")
    await chat.page.reload()
    await expect(chat.message).to_have_value("half a thought")
    await chat.page.goto(f"{chat.api.url}/")
    await expect(chat.message).to_have_value("")
    await chat.page.goto(f"{chat.api.url}/c/{conversation}")
    await expect(chat.message).to_have_value("half a thought")


async def test_reasoning_is_folded_with_its_time_and_is_no_part_of_the_text(open_chat: OpenChat) -> None:
    chat = await open_chat()
    await chat.send(script(thoughts=["Let me ", "think of ports."], pieces=["Lisboa."], gap=0.6))
    await chat.ended()
    summary = chat.replies.get_by_text("Thought for")
    await expect(summary).to_be_visible()
    await expect(chat.replies.get_by_text("think of ports.")).to_have_count(0)
    await summary.click()
    await expect(chat.replies.get_by_text("Let me think of ports.")).to_be_visible()


async def test_time_of_reasoning_is_the_stored_one_on_every_device(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, stack: LocalSupabase
) -> None:
    conversation = await new_conversation(as_visitor)
    reply = await turn(as_visitor, conversation, script(thoughts=["Hm. ", "Ports."], pieces=["Lisboa."], gap=0.05))
    assert 50 <= reply["reasoning_ms"] < 60_000
    with psycopg.connect(stack.database_url) as connection:
        # longer than a test may take
        connection.execute("update public.messages set reasoning_ms = 83400 where id = %s", (reply["id"],))
    chat = await open_chat(conversation)
    await expect(chat.replies.get_by_text("Thought for 83 s")).to_be_visible()


async def test_a_reply_tells_who_wrote_it_and_its_tokens(open_chat: OpenChat) -> None:
    chat = await open_chat()
    await chat.send(script(tokens=3))
    await chat.ended()
    await expect(chat.replies).to_contain_text("scripted-1 · 10 tokens")


async def test_another_device_sees_the_reply_grow_and_may_stop_it(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "before")
    here, there = await open_chat(conversation), await open_chat(conversation)
    await expect(there.replies).to_have_count(1)
    await here.send("from here\n\n" + script(id="two devices", tokens=50, stepped=True))
    call = await upstream.call("two devices")
    call.step(2)
    await expect(there.questions.last).to_contain_text("from here")
    await expect(there.replies.last).to_contain_text("tok1")
    call.step(2)
    await expect(there.replies.last).to_contain_text("tok3")
    await there.button("Stop the reply").click()
    await expect(here.replies.last).to_contain_text("You stopped this reply.")
    await expect(there.replies.last).to_contain_text("You stopped this reply.")
    await expect(here.questions).to_have_count(2)
    await expect(there.questions).to_have_count(2)


async def test_event_that_comes_before_its_change_can_be_read_is_not_lost(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    """Postgres sends a commit to Realtime before others see it: on a busy machine the page reads in between."""
    conversation = await new_conversation(as_visitor)
    first = await turn(as_visitor, conversation, "a\n\n" + script(pieces=["the first"]))
    await as_visitor.post(f"/v1/messages/{first['id']}/regenerate", headers={"Prefer": "wait"})
    chat = await open_chat(conversation)
    await expect(chat.replies).to_contain_text("2 / 2")
    query = {"order": "desc", "limit": "50"}
    before = (await as_visitor.get(f"/v1/conversations/{conversation}/messages", params=query)).json()
    answered = asyncio.Event()

    async def as_before(route: Route) -> None:
        await route.fulfill(json=before)
        answered.set()

    await chat.page.route("**/messages?*", as_before, times=1)
    await as_visitor.patch(f"/v1/conversations/{conversation}", json={"head_id": first["id"]})
    await asyncio.wait_for(answered.wait(), 30)
    await expect(chat.replies).to_contain_text("1 / 2")


async def test_a_branch_that_another_device_chooses_is_shown(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    first = await turn(as_visitor, conversation, "a\n\n" + script(pieces=["the first"]))
    await as_visitor.post(f"/v1/messages/{first['id']}/regenerate", headers={"Prefer": "wait"})
    chat = await open_chat(conversation)
    await expect(chat.replies).to_contain_text("2 / 2")
    async with chat.page.expect_response(lambda answer: "/messages?" in answer.url):
        await as_visitor.patch(f"/v1/conversations/{conversation}", json={"head_id": first["id"]})
    await expect(chat.replies).to_contain_text("1 / 2")
