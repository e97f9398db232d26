"""`useChat` of three releases of the AI SDK, unchanged, in a browser: everything that a user does with a chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

import pytest

from scripts.local_supabase import LocalSupabase
from tests.ai_sdk.conftest import OUTCOMES, RELEASES, ChatPage, OpenChat, address, version
from tests.support.browser import NewPage
from tests.support.chunks import chat_messages, new_id
from tests.support.client import history, person_client, script
from tests.support.cluster import Cluster, cluster
from tests.support.documents import put_in
from tests.support.matrix import check_table
from tests.support.proxy import Proxy
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, sign_up
from tests.support.upstream import Call, Upstream

TEA = "Green tea brews at eighty degrees for two minutes."
FROM_PAGES = {"CORS_ALLOW_ORIGINS": "http://127.0.0.1:*"}
every_release = pytest.mark.parametrize("release", RELEASES)


@every_release
async def test_reply_streams_with_its_reasoning_and_metadata(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    chat = await open_chat(release, web_api.url, owner, new_id())
    marker = new_id()
    await chat.send(script(id=marker, stepped=True, tokens=2, thoughts=["Let me ", "see."]))
    call = await upstream.call(marker)
    call.step()
    await chat.until_text("tok0 ")
    await chat.until("streaming")
    call.step()
    await chat.until("ready")
    _, reply = await chat.messages
    assert [(part["type"], part["text"], part["state"]) for part in reply["parts"] if part["type"] != "data-title"] == [
        ("reasoning", "Let me see.", "done"),
        ("text", "tok0 tok1 ", "done"),
    ]
    metadata = reply["metadata"]
    assert (metadata["status"], metadata["finish_reason"], metadata["provider"]) == ("complete", "stop", "openai")
    assert metadata["usage"]["completion_tokens"] == 2
    assert chat.tab.console_errors == []


@every_release
async def test_sources_are_shown(open_chat: OpenChat, web_api: Api, stack: LocalSupabase, release: int) -> None:
    reader = await sign_up(stack)
    async with person_client(web_api, reader) as client:
        await put_in(client, TEA, title="Tea book")
    chat = await open_chat(release, web_api.url, reader, new_id())
    await chat.run("sendMessage", {"text": "At what temperature does green tea brew?"}, {"body": {"use_rag": True}})
    await chat.until_text("tok4 ")
    await chat.until("ready")
    source = (await chat.messages)[1]["parts"][0]
    assert (source["type"], source["title"]) == ("source-document", "Tea book")
    assert source["providerMetadata"]["parley"]["excerpt"] == TEA
    assert await chat.page.inner_text("cite") == "Tea book"


@every_release
async def test_title_comes_as_data(open_chat: OpenChat, web_api: Api, owner: Person, release: int) -> None:
    chat = await open_chat(release, web_api.url, owner, new_id())
    await chat.send("Hello")
    await chat.until_text("tok4 ")
    await chat.until("ready")
    (part,) = await chat.page.evaluate("seen.data")
    assert part["type"] == "data-title"
    assert part["data"]["title"]


@every_release
async def test_failure_is_shown_in_words_with_the_text_so_far(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    chat, marker = await open_chat(release, web_api.url, owner, new_id()), new_id()
    await chat.send(script(id=marker, tokens=5, break_after=2))
    await chat.until("error")
    assert await chat.error == "The provider failed inside the reply."
    assert (await chat.texts)[-1] == "tok0 tok1 "
    assert (await chat.messages)[-1]["metadata"]["problem"]["code"] == "provider_unavailable"
    await chat.page.evaluate("chat.regenerate()")  # "try again"
    await chat.until("error")
    assert len(upstream.calls_of(marker)) == 2


@every_release
async def test_refusal_is_shown_in_words(
    open_chat: OpenChat, web_api: Api, owner: Person, stack: LocalSupabase, release: int
) -> None:
    chat = await open_chat(release, web_api.url, owner, new_id())
    await chat.run("sendMessage", {"text": "Hello"}, {"body": {"provider": "claude"}})
    await chat.until("error")
    error = await chat.error
    assert error is not None
    assert "claude" in error
    assert "{" not in error
    await chat.run("regenerate")  # the message was never stored, so this sends it
    await chat.until("ready")
    assert await chat.texts == ["Hello", "tok0 tok1 tok2 tok3 tok4 "]


@every_release
async def test_stop_here_keeps_what_was_written(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    chat_id, marker = new_id(), new_id()
    chat = await open_chat(release, web_api.url, owner, chat_id)
    await chat.send(script(id=marker, stepped=True, tokens=3))
    (await upstream.call(marker)).step()
    await chat.until_text("tok0 ")
    await chat.page.evaluate("stopEverywhere().then(() => chat.stop())")
    await chat.until("ready")
    async with person_client(web_api, owner) as client:
        stored = (await chat_messages(client, chat_id))[-1]
    assert (stored["metadata"]["status"], stored["parts"][-1]["text"]) == ("stopped", "tok0 ")
    assert (await chat.texts)[-1] == "tok0 "


@every_release
async def test_stop_on_another_device_is_shown_as_stopped(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    chat_id, marker = new_id(), new_id()
    chat = await open_chat(release, web_api.url, owner, chat_id)
    await chat.send(script(id=marker, stepped=True, tokens=3))
    (await upstream.call(marker)).step()
    await chat.until_text("tok0 ")
    async with person_client(web_api, owner) as client:
        await client.post(f"/v1/chat/{chat_id}/stop")
    await chat.until("ready")
    reply = (await chat.messages)[-1]
    assert (reply["metadata"]["status"], (await chat.texts)[-1]) == ("stopped", "tok0 ")


@every_release
async def test_reload_ten_times_in_one_reply(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    """In React's StrictMode, which resumes twice."""
    chat_id, marker = new_id(), new_id()
    chat = await open_chat(release, web_api.url, owner, chat_id, "resume", "strict")
    await chat.send(script(id=marker, stepped=True, tokens=12, token="é{}😀 ", thoughts=["Let me ", "see."]))
    call = await upstream.call(marker)
    whole = "".join(f"é{index}😀 " for index in range(12))
    call.step()
    for reloads in range(10):
        await chat.until_text(f"é{reloads}😀 ")
        await chat.page.reload()
        await chat.until_text(f"é{reloads}😀 ")
        call.step()
    call.step()
    await chat.until("ready")
    await chat.until_text(whole)
    messages = await chat.messages
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert (await chat.texts)[-1] == whole
    assert [part["text"] for part in messages[-1]["parts"] if part["type"] == "reasoning"] == ["Let me see."]
    await chat.check_seen(whole)
    await chat.page.reload()  # it has just ended
    await chat.until_text(whole)
    await chat.until("ready")
    assert (await chat.texts)[1:] == [whole]
    await chat.check_seen(whole)
    assert chat.tab.console_errors == []


@every_release
async def test_regenerate_and_edit(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    chat_id = new_id()
    chat = await open_chat(release, web_api.url, owner, chat_id)
    await chat.send(script(tokens=1))
    await chat.until_text("tok0 ")
    await chat.until("ready")
    replies = [(await chat.messages)[1]["id"]]
    for _ in range(2):
        await chat.finish("regenerate")
        replies.append((await chat.messages)[1]["id"])
    assert len(set(replies)) == 3
    await chat.finish("regenerate", {"messageId": replies[-1]})
    assert (await chat.messages)[1]["id"] not in replies
    await chat.finish("sendMessage", {"text": script(tokens=2)})
    question = (await chat.messages)[2]["id"]
    for text in (script(tokens=3), script(tokens=4)):
        await chat.finish("sendMessage", {"text": text, "messageId": question})
    assert (await chat.texts)[1:] == ["tok0 ", script(tokens=4), "tok0 tok1 tok2 tok3 "]
    async with person_client(web_api, owner) as client:
        stored = await chat_messages(client, chat_id)
        shown = await history(client, stored[0]["metadata"]["conversation_id"])
    assert ["".join(part["text"] for part in message["parts"]) for message in stored] == await chat.texts
    assert [message["siblings"] and message["siblings"]["count"] for message in shown] == [None, 4, 3, None]
    # after a reload the messages have the ids of the database, and can be edited under those
    await chat.page.reload()
    await chat.page.wait_for_function("window.chat?.messages.length === 4")
    question = (await chat.messages)[2]["id"]
    await chat.finish("sendMessage", {"text": script(tokens=5), "messageId": question})
    assert (await chat.texts)[2:] == [script(tokens=5), "tok0 tok1 tok2 tok3 tok4 "]


@every_release
async def test_documented_chat_works_as_it_stands(
    new_page: NewPage, site: str, web_api: Api, owner: Person, upstream: Upstream, release: int
) -> None:
    chat_id, marker = new_id(), new_id()
    async with Proxy(web_api.url) as front:
        page = (await new_page()).page
        await page.goto(address(site, "documented", release, front.url, owner, chat_id))
        await page.fill("input", script(id=marker, stepped=True, tokens=4))
        await page.keyboard.press("Enter")
        call = await upstream.call(marker)
        call.step()
        await page.wait_for_selector("p:text-is('tok0')")
        front.cut()
        call.step()
        await page.wait_for_selector("p:text-is('tok0 tok1')")
        await page.reload()
        call.step()
        await page.wait_for_selector("p:text-is('tok0 tok1 tok2')")
        front.down()
        await page.click("button")
        await page.wait_for_selector("text=Not stopped. Failed to fetch")
        front.up()
        async with page.expect_response(lambda answer: answer.url.endswith("/stop")) as answered:
            await page.click("button")
        assert (await answered.value).status == 200
        assert await stopped(web_api, owner, chat_id)
        assert await page.locator("p").count() == 2
        # before the proxy ends: what the page still reads has an end
        await page.close()


async def stopped(api: Api, person: Person, chat_id: str) -> bool:
    async with person_client(api, person) as client:
        return bool((await chat_messages(client, chat_id))[-1]["metadata"]["status"] == "stopped")


# ── replicas that end ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
async def replicas(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cluster]:
    async with cluster(stack, tmp_path_factory.mktemp("replicas")) as running:
        yield running


@pytest.fixture(scope="session")
async def survivor(replicas: Cluster) -> Api:
    """The replica that goes on."""
    return await replicas.replica(**FROM_PAGES)


async def pages_on(
    replicas: Cluster, front: Proxy, open_chat: OpenChat, person: Person, tokens: int
) -> list[tuple[ChatPage, Call]]:
    """A page of each release that has shown the first token of its reply, with the provider's call for it."""
    found = []
    for release in RELEASES:
        # `ai` 5 and 6 go on with the parts that they have when a connection was lost
        flags = () if release == 7 else ("plain",)
        chat = await open_chat(release, front.url, person, new_id(), *flags)
        marker = new_id()
        await chat.send(script(id=marker, stepped=True, tokens=tokens, thoughts=["Hm."]))
        call = await replicas.upstream.call(marker)
        call.step()
        await chat.until_text("tok0 ")
        found.append((chat, call))
    return found


async def test_replica_that_is_killed_is_no_end(
    replicas: Cluster, survivor: Api, open_chat: OpenChat, owner: Person
) -> None:
    """The reply is interrupted, with what was stored of it; every reader learns so on another replica."""
    first = await replicas.replica(**FROM_PAGES)
    async with Proxy(first.url) as front:
        chats = await pages_on(replicas, front, open_chat, owner, 3)
        for chat, _ in chats:  # stored, and so safe
            await eventually(partial(stored_text, first, owner, chat))
        front.target = survivor.url
        first.kill()
        for chat, _ in chats:
            await chat.until("error")
            await chat.run("resumeStream")
        for chat, _ in chats:
            await chat.page.wait_for_function("chat.messages.at(-1).metadata?.status === 'interrupted'", timeout=60_000)
            await chat.until("error")
            assert await chat.error == "The reply was interrupted; the text so far is kept"
            assert [message["role"] for message in await chat.messages] == ["user", "assistant"]
            assert (await chat.texts)[-1] == "tok0 "
            await chat.check_seen("tok0 ")


async def stored_text(api: Api, person: Person, chat: ChatPage) -> bool:
    async with person_client(api, person) as client:
        shown = await chat_messages(client, await chat.page.evaluate("chat.id"))
    return any(part.get("text") == "tok0 " for part in shown[-1]["parts"])


async def test_replica_that_drains_sends_its_readers_elsewhere(
    replicas: Cluster, survivor: Api, open_chat: OpenChat, owner: Person
) -> None:
    """The reply goes on, and is read to its end on another replica."""
    first = await replicas.replica(**FROM_PAGES)
    async with Proxy(first.url) as front:
        chats = await pages_on(replicas, front, open_chat, owner, 3)
        front.target = survivor.url
        first.terminate()
        await chats[0][0].until("error")
        # at once: a process that ends waits only some seconds for its replies
        for _, call in chats:
            call.step(2)
        for chat, _ in chats:
            await chat.until("error")
            error, metadata = await chat.error, (await chat.messages)[-1]["metadata"]
            assert error is not None
            assert error.endswith("Resume it.")
            assert (metadata["resume"], metadata["problem"]["code"]) == (True, "draining")
            await chat.page.evaluate("resumeUntilReady()")
        for chat, _ in chats:
            await chat.until("ready")
            assert (await chat.texts)[1:] == ["tok0 tok1 tok2 "]
            reply = (await chat.messages)[-1]
            assert [part["text"] for part in reply["parts"] if part["type"] == "reasoning"] == ["Hm."]
            assert reply["metadata"]["status"] == "complete"
            await chat.check_seen("tok0 tok1 tok2 ")
        assert await first.ended(within=15) == 0


async def test_lost_connection_is_resumed_without_doubling(
    open_chat: OpenChat, web_api: Api, owner: Person, upstream: Upstream
) -> None:
    async with Proxy(web_api.url) as front:
        for release in RELEASES:
            flags = () if release == 7 else ("plain",)
            chat, marker = await open_chat(release, front.url, owner, new_id(), *flags), new_id()
            await chat.send(script(id=marker, stepped=True, tokens=2))
            call = await upstream.call(marker)
            call.step()
            await chat.until_text("tok0 ")
            front.cut()
            await chat.until("error")
            await chat.run("resumeStream")
            call.step()
            await chat.until_text("tok0 tok1 ")
            await chat.until("ready")
            assert (await chat.texts)[1:] == ["tok0 tok1 "]
            await chat.check_seen("tok0 tok1 ")


TESTED = {
    "a reply streams, with reasoning and metadata": test_reply_streams_with_its_reasoning_and_metadata,
    "sources": test_sources_are_shown,
    "title": test_title_comes_as_data,
    "error in a reply": test_failure_is_shown_in_words_with_the_text_so_far,
    "refusal": test_refusal_is_shown_in_words,
    "stop here": test_stop_here_keeps_what_was_written,
    "stop on another device": test_stop_on_another_device_is_shown_as_stopped,
    "reload ten times in one reply, StrictMode": test_reload_ten_times_in_one_reply,
    "regenerate, edit": test_regenerate_and_edit,
    "connection lost": test_lost_connection_is_resumed_without_doubling,
    "replica killed": test_replica_that_is_killed_is_no_end,
    "replica drained": test_replica_that_drains_sends_its_readers_elsewhere,
    "the component of this page": test_documented_chat_works_as_it_stands,
}


def test_table_on_the_page_is_what_was_seen() -> None:
    seen = {label: OUTCOMES.get(test.__name__, {}) for label, test in TESTED.items()}
    if any(set(outcomes) != set(RELEASES) for outcomes in seen.values()):
        pytest.skip("The table is of the whole file.")
    head = [f"`ai` {version(ai)}, `@ai-sdk/react` {version(react)}" for ai, react in reversed(RELEASES.values())]
    rows = [
        [label, *("yes" if outcomes[release] else "NO" for release in reversed(RELEASES))]
        for label, outcomes in seen.items()
    ]
    lines = [["useChat", *head], ["---"] * (len(head) + 1), *rows]
    check_table(
        "useChat",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        passed=all(all(outcomes.values()) for outcomes in seen.values()),
    )
