"""Writes to one thing, made faster than the network takes them: the newest is what is stored, and what is shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx
from playwright.async_api import Page, Route, expect

from tests.support.client import history, new_conversation, script, turn
from tests.support.replica_client import eventually
from tests.web.pages import OpenChat, OpenPage, listed

WATCH = """(element) => {
  window.seen = []
  const look = () => window.seen.push(element.textContent + element.getAttribute('aria-pressed'))
  new MutationObserver(look).observe(element, { attributes: true, characterData: true, childList: true, subtree: true })
}"""


@dataclass
class SlowNetwork:
    """Keeps calls back, as a network does on which they may arrive in any order."""

    page: Page
    method: str
    held: list[Route] = field(default_factory=list)
    is_down: bool = False
    is_quick: bool = False

    async def _came(self, route: Route) -> None:
        if route.request.method != self.method:
            await route.continue_()
        elif self.is_down:
            await route.abort()
        elif self.is_quick:
            await route.continue_()
        else:
            self.held.append(route)

    async def over(self, address: str) -> None:
        await self.page.route(address, self._came)

    async def deliver(self) -> None:
        """Let all calls pass, of those that are under way at once the newest first. What follows passes at once."""
        await eventually(lambda: self.held)
        await self.page.evaluate("fetch('/config.json')")  # what was sent before this has come
        self.is_quick = True
        while self.held:
            route = self.held.pop()
            await route.continue_()
            await route.request.response()

    async def lose(self) -> None:
        """Lose what is under way, and all that follows."""
        await eventually(lambda: self.held)
        self.is_down = True
        while self.held:
            await self.held.pop().abort()


async def test_newest_feedback_is_stored_and_no_older_one_is_shown(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    reply = await turn(as_visitor, conversation)
    chat = await open_chat(conversation)
    network = SlowNetwork(chat.page, "PUT")
    await network.over("**/feedback")
    await chat.button("Good reply").click()
    await chat.button("Bad reply").click()
    await chat.page.get_by_label("What was wrong? (optional)").fill("Too short")
    await chat.page.keyboard.press("Enter")
    await expect(chat.button("Bad reply")).to_have_attribute("aria-pressed", "true")
    await chat.button("Bad reply").evaluate(WATCH)
    await network.deliver()

    async def is_stored() -> bool:
        feedback = (await as_visitor.get(f"/v1/messages/{reply['id']}")).json()["feedback"]
        return bool(feedback == {"rating": "down", "comment": "Too short"})

    await eventually(is_stored)
    assert await chat.page.evaluate("window.seen") == []


async def test_feedback_that_cannot_be_stored_gives_way_to_what_is(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    reply = await turn(as_visitor, conversation)
    await as_visitor.put(f"/v1/messages/{reply['id']}/feedback", json={"rating": "up"})
    chat = await open_chat(conversation)
    network = SlowNetwork(chat.page, "PUT")
    await network.over("**/feedback")
    await chat.button("Bad reply").click()
    await chat.page.get_by_label("What was wrong? (optional)").fill("Too short")
    await chat.page.keyboard.press("Enter")
    await network.lose()
    await expect(chat.page.get_by_text("No connection")).to_be_visible()
    await expect(chat.button("Good reply")).to_have_attribute("aria-pressed", "true")
    await expect(chat.button("Bad reply")).to_have_attribute("aria-pressed", "false")


async def test_newest_title_is_stored_and_no_older_one_is_shown(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    page = (await open_page()).page
    network = SlowNetwork(page, "PATCH")
    await network.over(f"**/v1/conversations/{made}")
    for title in ("Rome in May", "Rome in June", "Rome in July"):
        await listed(page).first.press("F2")
        await page.get_by_role("textbox", name="Title").fill(title)
        await page.keyboard.press("Enter")
        await expect(listed(page)).to_have_text([title])
    await page.get_by_role("navigation", name="Conversations").evaluate(WATCH)
    await network.deliver()

    async def is_stored() -> bool:
        return bool((await as_visitor.get(f"/v1/conversations/{made}")).json()["title"] == "Rome in July")

    await eventually(is_stored)
    await expect(listed(page)).to_have_text(["Rome in July"])
    assert [text for text in await page.evaluate("window.seen") if "July" not in text] == []


async def test_title_that_cannot_be_stored_gives_way_to_what_is(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    page = (await open_page()).page
    await page.route(f"**/v1/conversations/{made}", lambda route: route.abort())
    await listed(page).first.press("F2")
    await page.get_by_role("textbox", name="Title").fill("Lisbon")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No connection")).to_be_visible()
    await expect(listed(page)).to_have_text(["Rome"])


async def test_version_that_was_chosen_last_is_shown_and_the_next_message_follows_it(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    first = await turn(as_visitor, conversation, "a\n\n" + script(pieces=["the first"]))
    await as_visitor.post(f"/v1/messages/{first['id']}/regenerate", headers={"Prefer": "wait"})
    chat = await open_chat(conversation)
    await expect(chat.replies).to_contain_text("2 / 2")
    network = SlowNetwork(chat.page, "PATCH")
    await network.over(f"**/v1/conversations/{conversation}")
    await chat.button("Previous version").click()
    await chat.send("after the first")
    await network.deliver()
    await expect(chat.replies).to_have_count(2)
    await chat.ended()
    branch = await history(as_visitor, conversation)
    assert [one["content"] for one in branch[1:3]] == ["the first", "after the first"]
    await expect(chat.replies.first).to_contain_text("1 / 2")


async def test_what_is_deleted_again_can_be_taken_back_again(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    """At once, while the message of the first time is still leaving."""
    made = await new_conversation(as_visitor, title="Rome")
    page = (await open_page()).page
    for _ in range(2):
        await listed(page).first.press("Delete")
        await expect(page.get_by_text("No conversations yet")).to_be_visible()
        await page.get_by_role("button", name="Undo").first.click()  # the newest message comes first
        await expect(listed(page)).to_have_text(["Rome"])
    await expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    await page.reload()
    await expect(listed(page)).to_have_text(["Rome"])
    assert (await as_visitor.get(f"/v1/conversations/{made}")).status_code == 200


async def test_page_that_is_left_deletes_what_was_not_taken_back(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    made = await new_conversation(as_visitor, title="Rome")
    page = (await open_page()).page
    await listed(page).first.press("Delete")
    await expect(page.get_by_role("button", name="Undo")).to_be_visible()
    await page.close(run_before_unload=True)

    async def gone() -> bool:
        return (await as_visitor.get(f"/v1/conversations/{made}")).status_code == 404

    await eventually(gone)
