"""What the chat does when something fails: nothing is lost, and it is said in words."""

from __future__ import annotations

from pathlib import Path

import httpx
from playwright.async_api import expect

from scripts.local_supabase import LocalSupabase
from tests.support.browser import NewPage
from tests.support.client import history, new_conversation, script, turn
from tests.support.proxy import Proxy
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import MODEL, Upstream
from tests.web.pages import RATE_LIMITED, Chat, OpenChat, happens, refuse, session_script


async def test_a_reload_in_the_middle_goes_on_where_the_reply_is(
    open_chat: OpenChat, upstream: Upstream, as_visitor: httpx.AsyncClient
) -> None:
    chat = await open_chat()
    await chat.send(script(id="reloaded", tokens=12, stepped=True))
    call = await upstream.call("reloaded")
    call.step(4)
    await expect(chat.replies).to_contain_text("tok3")
    for done in (8, 12):
        await chat.page.reload()
        await expect(chat.replies).to_contain_text(f"tok{done - 5}")
        call.step(4)
        await expect(chat.replies).to_contain_text(f"tok{done - 1}")
    await chat.ended()
    shown = (await chat.replies.locator("p").first.inner_text()).strip()
    assert shown == "".join(f"tok{i} " for i in range(12)).strip()
    assert len(await history(as_visitor, chat.conversation)) == 2


async def test_a_cut_connection_is_said_and_resumed_without_a_lost_or_doubled_word(
    stack: LocalSupabase, web_api: Api, visitor: Person, new_page: NewPage, upstream: Upstream
) -> None:
    async with Proxy(web_api.url) as proxy:
        tab = await new_page()
        await tab.page.add_init_script(await session_script(stack, visitor))
        await tab.page.goto(proxy.url)
        chat = Chat(tab, web_api)
        await chat.send(script(id="cut", tokens=10, stepped=True))
        call = await upstream.call("cut")
        call.step(4)
        await expect(chat.replies).to_contain_text("tok3")
        proxy.down()
        await expect(chat.page.get_by_text("The connection was lost.")).to_be_visible()
        call.step(3)
        proxy.up()
        await expect(chat.replies).to_contain_text("tok6")
        await expect(chat.page.get_by_text("The connection was lost.")).to_have_count(0)
        call.step(3)
        await chat.ended()
        assert (await chat.replies.locator("p").first.inner_text()).split() == [f"tok{i}" for i in range(10)]


async def test_a_cut_reply_that_is_no_longer_streamed_is_read_as_it_is_stored(
    stack: LocalSupabase, web_api: Api, visitor: Person, new_page: NewPage, upstream: Upstream
) -> None:
    async with Proxy(web_api.url) as proxy:
        tab = await new_page()
        await tab.page.add_init_script(await session_script(stack, visitor))
        await tab.page.goto(proxy.url)
        await tab.page.route("**/v1/chat/*/stream", lambda route: route.fulfill(status=204))
        chat = Chat(tab, web_api)
        await chat.send(script(id="over", tokens=6, stepped=True))
        call = await upstream.call("over")
        call.step(3)
        await expect(chat.replies).to_contain_text("tok2")
        proxy.down()
        call.step(3)
        await expect(chat.page.get_by_text("The connection was lost.")).to_be_visible()
        proxy.up()
        await expect(chat.replies).to_contain_text("tok5")
        await chat.ended()


async def test_a_message_whose_answer_is_lost_is_sent_again_and_begins_one_turn(
    stack: LocalSupabase,
    web_api: Api,
    visitor: Person,
    new_page: NewPage,
    as_visitor: httpx.AsyncClient,
) -> None:
    conversation = await new_conversation(as_visitor)
    async with Proxy(web_api.url) as proxy:
        tab = await new_page()
        await tab.page.add_init_script(await session_script(stack, visitor))
        await tab.page.goto(f"{proxy.url}/c/{conversation}")
        chat = Chat(tab, web_api)
        await chat.message.wait_for()
        proxy.lose_answer(b"POST /v1/chat")
        await chat.send("once\n\n" + script(tokens=3))
        await expect(chat.replies).to_contain_text("tok2")
        await chat.ended()
        assert proxy.lost == 1
    assert [one["role"] for one in await history(as_visitor, conversation)] == ["user", "assistant"]


async def test_a_provider_s_outage_is_told_in_the_reply_which_can_be_tried_again(
    open_chat: OpenChat, upstream: Upstream
) -> None:
    chat = await open_chat()
    upstream.script = {"status": 500}
    try:
        await chat.send(script(tokens=2))
        await expect(chat.replies.get_by_role("button", name="Try again")).to_be_visible()
        await expect(chat.replies).to_contain_text("No model can answer now")
    finally:
        upstream.script = {}
    await chat.replies.get_by_role("button", name="Try again").click()
    await expect(chat.replies).to_contain_text("tok1")
    await expect(chat.questions).to_have_count(1)


async def test_a_refused_message_comes_back_with_the_reason(
    stack: LocalSupabase, web_api: Api, new_page: NewPage
) -> None:
    tab = await new_page()
    await tab.page.add_init_script(await session_script(stack, await sign_up(stack, plan=None)))
    await tab.page.goto(web_api.url)
    chat = Chat(tab, web_api)
    await chat.send("a long thought")
    await expect(chat.page.get_by_role("alert").first).to_be_visible()
    await expect(chat.message).to_have_value("a long thought")
    await expect(chat.questions).to_have_count(0)


async def test_a_refused_edit_is_open_again_and_the_first_version_is_still_there(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "as it was")
    chat = await open_chat(conversation)
    await chat.page.route(
        "**/v1/chat",
        lambda route: route.fulfill(
            status=429,
            headers={"Retry-After": "30", "Content-Type": "application/problem+json"},
            body='{"type":"urn:parley:problem:rate_limited","title":"Too many","status":429,"code":"rate_limited"}',
        ),
    )
    editor = await chat.edit()
    await editor.fill("as it shall be")
    await editor.press("Enter")
    await expect(chat.page.get_by_text("Too many")).to_have_count(0)
    await expect(editor).to_have_value("as it shall be")
    await chat.page.keyboard.press("Escape")
    await expect(chat.questions).to_contain_text("as it was")
    await expect(chat.replies).to_contain_text("tok4")


async def test_a_rate_limit_counts_down_until_it_may_be_tried_again(open_chat: OpenChat) -> None:
    chat = await open_chat()
    await refuse(chat.page, "**/v1/chat", RATE_LIMITED)
    counts_down = await happens(
        chat.page,
        "[...document.querySelectorAll('button:disabled')].some((one) => one.textContent.startsWith('Try again in '))",
    )
    await chat.send(script(tokens=2))
    await counts_down()
    await chat.button("Try again").click()
    await expect(chat.replies).to_contain_text("tok1")
    await expect(chat.message).to_have_value("")


async def test_after_two_silent_seconds_the_chat_says_that_it_still_works(
    open_chat: OpenChat, upstream: Upstream
) -> None:
    chat = await open_chat()
    await chat.send(script(id="slow", tokens=2, stepped=True))
    call = await upstream.call("slow")
    await expect(chat.page.get_by_text("Still working …")).to_be_visible()
    is_still = "document.body.textContent.includes('tok0') && !document.body.textContent.includes('Still working')"
    says_no_more = await happens(chat.page, is_still)
    call.step()
    await says_no_more()
    call.step()
    await chat.ended()


async def test_a_reply_goes_on_through_another_replica_while_its_own_drains(
    stack: LocalSupabase,
    web_api: Api,
    visitor: Person,
    new_page: NewPage,
    upstream: Upstream,
    tmp_path: Path,
) -> None:
    settings = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": upstream.url, "OPENAI_MODEL": MODEL, "ENABLE_RAG": "false"}
    async with running_api(stack, tmp_path / "api.log", WEB="on", **settings) as leaving, Proxy(leaving.url) as proxy:
        tab = await new_page()
        await tab.page.add_init_script(await session_script(stack, visitor))
        await tab.page.goto(proxy.url)
        chat = Chat(tab, leaving)
        await chat.send(script(id="drained", tokens=9, stepped=True))
        call = await upstream.call("drained")
        call.step(3)
        await expect(chat.replies).to_contain_text("tok2")
        proxy.target = web_api.url
        leaving.terminate()
        call.step(3)
        await expect(chat.replies).to_contain_text("tok5")
        call.step(3)
        await chat.ended()
        assert (await chat.replies.locator("p").first.inner_text()).split() == [f"tok{i}" for i in range(9)]
