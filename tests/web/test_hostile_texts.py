"""Sixty texts that try to run a script or to send something away: they are shown as texts, and nothing else happens."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.support.client import script
from tests.support.documents import put_in, put_in_file
from tests.web.corpus.names import FILE_NAMES, TITLES
from tests.web.corpus.replies import REPLIES
from tests.web.pages import Chat, OpenChat

INSPECT = """(root) => {
  const within = [...root.querySelectorAll('*')]
  const bad = within.filter((one) =>
    /^(script|iframe|object|embed|link|style|base|meta|image|video|audio|use|foreignObject|animate|set)$/i
      .test(one.tagName) ||
    [...one.attributes].some(({ name }) => /^(on|srcdoc|action|formaction|xlink:href|poster|data$)/i.test(name)) ||
    one.hasAttribute('href') && !/^(https?:\\/\\/|mailto:|\\/(?!\\/)|#)/.test(one.getAttribute('href')) ||
    one.hasAttribute('src') && !/^\\/[\\w.]/.test(one.getAttribute('src'))
  )
  return bad.map((one) => one.outerHTML.slice(0, 200))
}"""


async def assert_harmless(page: Page) -> None:
    """No script has run, and there is no element or address that could run one or load something."""
    assert await page.evaluate("window.hit") is None
    assert await page.locator("#root").evaluate(INSPECT) == []


def conversation_file() -> dict[str, Any]:
    """A conversation that was said in hostile texts, in the form of an export."""
    time = "2026-11-28T12:00:00+00:00"
    messages: list[dict[str, Any]] = []
    for text in REPLIES:
        for role in ("user", "assistant"):
            messages.append(
                {
                    "id": str(uuid.uuid4()),
                    "parent_id": messages[-1]["id"] if messages else None,
                    "role": role,
                    "content": text,
                    "reasoning": text if role == "assistant" else "",
                    "status": "complete",
                    "provider": "openai" if role == "assistant" else None,
                    "model": "scripted-1" if role == "assistant" else None,
                    "finish_reason": "stop" if role == "assistant" else None,
                    "error_code": None,
                    "problem": None,
                    "sources": None,
                    "flagged": None,
                    "feedback": None,
                    "created_at": time,
                    "updated_at": time,
                }
            )
    conversation = {
        "id": str(uuid.uuid4()),
        "title": TITLES[0],
        "model": None,
        "instructions": None,
        "head_id": messages[-1]["id"],
        "created_at": time,
        "updated_at": time,
    }
    return {
        "type": "parley.export",
        "version": 1,
        "exported_at": time,
        "conversation": conversation,
        "messages": messages,
    }


async def imported(client: httpx.AsyncClient, file: dict[str, Any]) -> str:
    """Import a conversation; its id."""
    answer = await client.post("/v1/imports", content=json.dumps(file), headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(30):
        while (state := (await client.get(f"/v1/imports/{answer.json()['id']}")).json())["status"] == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert state["status"] == "complete", state
    items = (await client.get("/v1/conversations")).json()["items"]
    return str(next(one["id"] for one in items if one["title"] == TITLES[0]))


async def test_stored_texts_of_every_kind_are_harmless(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    conversation = await imported(as_visitor, conversation_file())
    chat = await open_chat(conversation)
    await expect(chat.replies.last).to_be_visible()
    seen = 0
    while await first_shown(chat) > 1 or not await is_whole(chat):
        # the reasoning of those that are shown, too
        await chat.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        await assert_harmless(chat.page)
        before = await first_shown(chat)
        await chat.list.evaluate("(list) => list.scrollBy(0, -list.clientHeight)")
        await chat.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        seen += before != await first_shown(chat)
    await assert_harmless(chat.page)
    assert seen > 5
    assert blocked(chat) == []


async def test_a_hostile_reply_is_harmless_while_it_is_written(open_chat: OpenChat) -> None:
    chat = await open_chat()
    text = "\n\n".join(REPLIES)
    pieces = [text[at : at + 23] for at in range(0, len(text), 23)]
    await chat.send(script(pieces=[*pieces, "\n\n**the end**"], gap=0.002))
    await chat.page.evaluate(
        f"""() => {{
          window.found = []
          const inspect = {INSPECT}
          const look = () => window.found.push(...inspect(document.querySelector('#root')))
          new MutationObserver(look).observe(document.querySelector('#root'), {{ childList: true, subtree: true }})
        }}"""
    )
    await chat.ended()
    await chat.button("Jump to latest").click()
    await assert_harmless(chat.page)
    assert await chat.page.evaluate("window.found") == []
    assert blocked(chat) == []


async def test_hostile_names_of_conversations_documents_and_files_are_harmless(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    for title in TITLES:
        await as_visitor.post("/v1/conversations", json={"title": title})
        await put_in(as_visitor, "Nothing to see.", title)
    for name in FILE_NAMES:
        await put_in_file(as_visitor, name, b"Nothing to see here.")
    chat = await open_chat()
    await expect(chat.page.get_by_text(TITLES[0]).first).to_be_visible()
    await assert_harmless(chat.page)
    await chat.page.goto(f"{chat.api.url}/documents")
    await expect(chat.page.get_by_text(TITLES[1]).first).to_be_visible()
    await assert_harmless(chat.page)


async def test_a_link_tells_its_host_and_a_picture_is_a_link(open_chat: OpenChat) -> None:
    chat = await open_chat()
    text = "[your bank](https://bank.example@away.example/x) ![chart](https://pictures.example/a.png)"
    await chat.send(script(pieces=[text]))
    await chat.ended()
    link = chat.replies.get_by_role("link", name="your bank")
    assert await link.get_attribute("href") == "https://away.example/x"
    assert "noopener" in (await link.get_attribute("rel") or "")
    await expect(chat.replies).to_contain_text("your bank (away.example)")
    await expect(chat.replies).to_contain_text("chart (pictures.example)")
    await expect(chat.replies.locator("img")).to_have_count(0)


async def first_shown(chat: Chat) -> int:
    """The place of the first message that is in the page, from 1."""
    return int(await chat.list.get_by_role("listitem").first.get_attribute("aria-posinset") or 0)


async def is_whole(chat: Chat) -> bool:
    """Whether all messages have been read."""
    return await chat.list.get_by_role("listitem").first.get_attribute("aria-setsize") != "-1"


def blocked(chat: Chat) -> list[str]:
    """What the page's policy had to stop: the page asks for nothing that it stops."""
    return [text for text in chat.tab.console_errors if re.search("Content Security Policy|Refused to", text)]
