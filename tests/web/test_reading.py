"""Reading a conversation: where it is scrolled, long ones, keyboards, screen readers, small screens."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
import pytest
from playwright.async_api import Locator, expect

from scripts.local_supabase import LocalSupabase
from tests.support.client import new_conversation, script, turn
from tests.support.replica_client import eventually
from tests.support.service import Person
from tests.support.upstream import Upstream
from tests.web.accessibility import findings
from tests.web.pages import Chat, OpenChat, listed

LINE = "Line {} of some words that go on.\n\n"
DRAWN = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


async def top(chat: Chat, element: Locator) -> float:
    """Pixels from the list's upper edge to the element's."""
    box, frame = await element.bounding_box(), await chat.list.bounding_box()
    assert box
    assert frame
    return box["y"] - frame["y"]


async def at_the_top(chat: Chat, element: Locator) -> bool:
    return 0 <= await top(chat, element) < 60


async def scrolled(chat: Chat) -> float:
    """Where the list is scrolled to, once it has come to rest."""
    at, before = -1.0, -2.0
    while at != before:
        for _ in range(3):
            await chat.page.evaluate(DRAWN)
        before, at = at, float(await chat.list.evaluate("(list) => list.scrollTop"))
    return at


async def test_the_question_stays_at_the_top_while_its_reply_grows_and_nobody_is_scrolled(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "before\n\n" + script(tokens=20, token=LINE))
    chat = await open_chat(conversation)
    await expect(chat.replies).to_have_count(1)
    await chat.send("the question\n\n" + script(id="anchored", tokens=60, token=LINE, stepped=True))
    call = await upstream.call("anchored")
    call.step(2)
    await expect(chat.replies.last).to_contain_text("Line 1 ")
    await eventually(lambda: at_the_top(chat, chat.questions.last))
    at = await scrolled(chat)
    await expect(chat.button("Jump to latest")).to_have_count(0)
    call.step(40)
    await expect(chat.replies.last).to_contain_text("Line 41 ")
    assert await scrolled(chat) == at
    await chat.button("Jump to latest").click()
    await expect(chat.replies.last.get_by_text("Line 41 ")).to_be_in_viewport()
    # who has gone to the end is taken along
    call.step(5)
    await expect(chat.replies.last.get_by_text("Line 46 ")).to_be_in_viewport()
    # and who scrolls up is left in peace
    await chat.list.hover()
    await chat.page.mouse.wheel(0, -500)
    await expect(chat.button("Jump to latest")).to_be_visible()
    at = await scrolled(chat)
    call.step(13)
    await chat.ended()
    assert await scrolled(chat) == at


async def test_question_goes_to_the_top_on_a_slow_machine_too(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Where rows are measured one after the other, the list is too short for a moment to be scrolled so far."""
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "before\n\n" + script(tokens=20, token=LINE))
    chat = await open_chat(conversation)
    slow = await chat.page.context.new_cdp_session(chat.page)
    await slow.send("Emulation.setCPUThrottlingRate", {"rate": 8})
    for number in range(3):
        name = f"slow {number}"
        await chat.send(f"the question\n\n{script(id=name, tokens=4, token=LINE, stepped=True)}")
        call = await upstream.call(name)
        call.step(2)
        await expect(chat.replies.last).to_contain_text("Line 1 ")
        await eventually(lambda: at_the_top(chat, chat.questions.last))
        call.step(2)
        await chat.ended()


@pytest.fixture
def long_conversation(stack: LocalSupabase, visitor: Person) -> str:
    """A conversation of 300 messages."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, false)", ('{"role": "service_role"}',))
        row = connection.execute(
            "insert into public.conversations (user_id, title) values (%s, 'Long') returning id", (visitor.id,)
        ).fetchone()
        assert row
        parent = None
        for at in range(300):
            inserted = connection.execute(
                "insert into public.messages (conversation_id, user_id, role, content, status, parent_id)"
                " values (%s, %s, %s, %s, 'complete', %s) returning id",
                (row[0], visitor.id, "assistant" if at % 2 else "user", f"message {at + 1}", parent),
            ).fetchone()
            assert inserted
            parent = inserted[0]
        connection.execute("update public.conversations set head_id = %s where id = %s", (parent, row[0]))
    return str(row[0])


async def test_a_long_conversation_opens_at_its_end_and_older_messages_come_without_a_jump(
    open_chat: OpenChat, long_conversation: str
) -> None:
    chat = await open_chat(long_conversation)
    await expect(chat.replies.last).to_have_text("message 300")
    await expect(chat.replies.last).to_be_in_viewport()
    assert await chat.list.get_by_role("listitem").count() < 40
    async with asyncio.timeout(60):
        while not await chat.page.get_by_text("message 1", exact=True).count():
            await chat.list.evaluate("(list) => { list.scrollTop -= 400 }")
            await chat.page.evaluate(DRAWN)
    await expect(chat.page.get_by_text("message 1", exact=True)).to_be_visible()


async def test_a_message_that_was_found_is_shown_wherever_it_is(open_chat: OpenChat, long_conversation: str) -> None:
    chat = await open_chat()
    await chat.page.goto(f"{chat.api.url}/c/{long_conversation}")
    await expect(chat.replies.last).to_be_visible()
    oldest = await chat.page.evaluate(
        """async (id) => {
          const { access_token } = JSON.parse(localStorage.getItem('sb-127-auth-token'))
          const answer = await fetch(`/v1/conversations/${id}/messages?limit=3`, {
            headers: { Authorization: `Bearer ${access_token}` },
          })
          return (await answer.json()).items[2].id
        }""",
        long_conversation,
    )
    await chat.page.goto(f"{chat.api.url}/c/{long_conversation}?m={oldest}")
    await expect(chat.page.get_by_text("message 3", exact=True)).to_be_in_viewport()


async def test_everything_is_reached_by_keyboard(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, script(tokens=60, token=LINE))
    chat = await open_chat(conversation)
    await expect(chat.replies).to_have_count(1)
    await expect(chat.message).to_be_focused()
    await chat.page.keyboard.type("one")
    await chat.page.keyboard.press("Shift+Enter")
    await chat.page.keyboard.type("two")
    await expect(chat.message).to_have_value("one\ntwo")
    await chat.message.fill("")
    reached = []
    for _ in range(12):
        await chat.page.keyboard.press("Shift+Tab")
        reached.append(await chat.page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert {"Answer again", "Bad reply", "Good reply", "Copy the reply", "Messages"} <= set(reached)
    await chat.list.focus()
    await chat.page.keyboard.press("End")
    await expect(chat.button("Jump to latest")).to_have_count(0)
    before = await scrolled(chat)
    await chat.page.keyboard.press("PageUp")
    await expect(chat.button("Jump to latest")).to_be_visible()
    assert await scrolled(chat) < before


async def test_enter_that_ends_a_composition_sends_nothing(open_chat: OpenChat) -> None:
    chat = await open_chat()
    await chat.message.focus()
    keyboard = await chat.page.context.new_cdp_session(chat.page)
    await keyboard.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    await keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    await keyboard.send("Input.insertText", {"text": "日本"})
    await keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    await expect(chat.message).to_have_value("日本")
    await chat.page.keyboard.press("Enter")
    await expect(chat.questions).to_have_text("日本")


async def test_a_screen_reader_is_told_the_beginning_and_the_end_and_no_word_between(
    open_chat: OpenChat, upstream: Upstream
) -> None:
    chat = await open_chat()
    await chat.send(script(id="aloud", tokens=20, stepped=True))
    call = await upstream.call("aloud")
    live = chat.page.locator("[role=status], [role=alert], [role=log], [aria-live]")
    said = """(places) => {
      window.said = []
      for (const place of places)
        new MutationObserver(() => window.said.push(place.textContent)).observe(place, {
          childList: true, subtree: true, characterData: true,
        })
    }"""
    await expect(chat.page.get_by_text("The reply begins.")).to_have_count(1)
    await live.evaluate_all(said)
    for _ in range(4):
        call.step(5)
        await chat.page.evaluate(DRAWN)
    await chat.ended()
    await expect(chat.page.get_by_text("The reply is there.")).to_have_count(1)
    spoken = [one for one in await chat.page.evaluate("window.said") if "tok" in one]
    assert len(spoken) == 1
    assert spoken[0].startswith("The reply is there. tok0 tok1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_wide_tables_code_and_formulas_within_its_width(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, scheme: str
) -> None:
    conversation = await new_conversation(as_visitor)
    wide = (
        "| " + " | ".join(f"column {at}" for at in range(12)) + " |\n" + "|---" * 12 + "|\n" + "| 1234567 " * 12 + "|"
    )
    text = (
        f"{wide}\n\n```python\nprint('{'x' * 200}')\n```\n\n$$\n{'x + ' * 60} y\n$$\n\n{'long' * 80}\n\n- [ ] a task\n"
    )
    await turn(as_visitor, conversation, script(pieces=[text]))
    chat = await open_chat(conversation, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    await expect(chat.replies.locator(".katex").first).to_be_attached()
    await expect(chat.replies.locator(".hljs-built_in, .hljs-string").first).to_be_attached()
    assert await chat.page.evaluate("document.documentElement.scrollWidth") == 360
    for name in ("Code, scrolls sideways", "Table, scrolls sideways"):
        assert await chat.page.get_by_role("region", name=name).evaluate("(one) => one.scrollWidth > one.clientWidth")
    assert await findings(chat.page) == []


async def test_each_block_has_the_direction_of_its_text(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_visitor)
    text = "# مرحب\n\nمرحب بكم\n\n- نعم\n- مرحب\n\nHello\n\n```\nx = 1\n```\n"
    await turn(as_visitor, conversation, "مرحب\n\n" + script(pieces=[text]))
    chat = await open_chat(conversation)
    await expect(chat.replies).to_contain_text("Hello")
    found = await chat.replies.evaluate(
        """(reply) => [...reply.querySelectorAll('h2, p, li, pre')].map((one) => {
          const range = document.createRange()
          range.selectNodeContents(one)
          const [text, box] = [range.getBoundingClientRect(), one.getBoundingClientRect()]
          return [one.tagName, box.right - text.right < text.left - box.left ? 'right' : 'left']
        })"""
    )
    assert [side for tag, side in found if tag in ("H2", "LI")] == ["right"] * 3
    assert [side for tag, side in found if tag == "P"][:2] == ["right", "left"]
    assert [side for tag, side in found if tag == "PRE"] == ["left"]
    assert await chat.questions.locator("p").evaluate("(said) => getComputedStyle(said).direction") == "rtl"


async def test_axe_finds_nothing_in_an_empty_chat_nor_in_one_with_everything(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    chat = await open_chat()
    assert await findings(chat.page) == []
    await chat.send(script(id="seen by axe", thoughts=["Hm."], pieces=["# One\n\nwords", " and `code`"], stepped=True))
    call = await upstream.call("seen by axe")
    call.step()
    await expect(chat.replies).to_contain_text("words")
    assert await findings(chat.page) == []
    call.step()
    await chat.ended()
    await chat.button("Bad reply").click()
    assert await findings(chat.page) == []


async def test_what_is_chosen_is_seen_where_the_system_sets_the_colours(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    await new_conversation(as_visitor)
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation)
    chat = await open_chat(conversation, forced_colors="active")
    page = chat.page
    await chat.button("Good reply").click()
    await page.get_by_role("button", name="Model: Automatic").click()
    levels = page.get_by_role("radiogroup", name="Reasoning").get_by_role("radio")
    pairs = {
        "a conversation": (listed(page).first, listed(page).last),
        "a thumb": (chat.button("Good reply"), chat.button("Bad reply")),
        "a level": (levels.first, levels.last),
    }
    await expect(listed(page)).to_have_count(2)
    await expect(chat.button("Good reply")).to_have_attribute("aria-pressed", "true")
    ground = "(element) => getComputedStyle(element).backgroundColor"
    for name, (chosen, other) in pairs.items():
        assert await chosen.evaluate(ground) != await other.evaluate(ground), name
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Keyboard shortcuts").click()
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    assert await sheet.evaluate("(element) => getComputedStyle(element).borderTopStyle") == "solid"
