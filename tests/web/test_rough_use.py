"""What people do to a chat that nobody has planned: they change places, lose connections, and go away in the middle."""

from __future__ import annotations

import httpx
from playwright.async_api import Page, Request, Route, expect

from scripts.local_supabase import LocalSupabase
from tests.support.client import new_conversation, script, turn
from tests.support.documents import indexed, put_in
from tests.support.service import Person, sign_up
from tests.support.upstream import Upstream
from tests.web.pages import PASSWORD, RATE_LIMITED, OpenChat, OpenPage, happens, listed, refuse


async def sign_in(page: Page, person: Person) -> None:
    await page.get_by_label("Email").fill(person.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def test_next_person_at_the_same_page_sees_nothing_of_the_one_before(
    open_page: OpenPage, as_visitor: httpx.AsyncClient, stack: LocalSupabase
) -> None:
    await new_conversation(as_visitor, title="secret of the first")
    tab = await open_page()
    await expect(listed(tab.page)).to_have_text("secret of the first")
    documents = tab.page.get_by_role("button", name="Use my documents")
    await documents.click()
    await expect(documents).to_have_attribute("aria-pressed", "false")
    await tab.page.get_by_role("link", name="@example.com").click()
    await tab.page.get_by_role("button", name="Sign out").click()
    other = await sign_up(stack)
    await expect(tab.page.get_by_role("button", name="Sign in")).to_be_visible()
    # what the page remembers is all that could be shown
    await tab.page.route("**/v1/conversations**", lambda route: route.abort())
    shows = "document.body.textContent.includes('secret of the first')"
    await tab.page.evaluate(
        f"window.seen = false; new MutationObserver(() => {{ window.seen ||= {shows} }})"
        ".observe(document.body, {childList: true, subtree: true})"
    )
    await sign_in(tab.page, other)
    await expect(tab.page.get_by_text(other.email).first).to_be_visible()
    assert not await tab.page.evaluate("window.seen")
    await tab.page.get_by_role("link", name="New conversation").click()
    await expect(documents).to_have_attribute("aria-pressed", "true")


async def test_signing_out_deletes_what_was_not_taken_back(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_visitor, title="to be deleted")
    tab = await open_page("/account")
    await listed(tab.page).focus()
    await tab.page.keyboard.press("Delete")
    await expect(tab.page.get_by_role("button", name="Undo")).to_be_visible()
    await tab.page.get_by_role("button", name="Sign out").click()
    await expect(tab.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert (await as_visitor.get(f"/v1/conversations/{conversation}")).status_code == 404


async def test_open_source_scrolls_nobody_back_to_it(open_chat: OpenChat, as_visitor: httpx.AsyncClient) -> None:
    rules = "The kitchen of the house closes at ten in the evening. Dogs are welcome in the garden."
    await indexed(as_visitor, (await put_in(as_visitor, rules, "House rules"))["id"])
    chat = await open_chat(viewport={"width": 900, "height": 500})
    await chat.send(
        "When does the kitchen of the house close?\n\n" + script(pieces=["At ten", " [1].", "\n\nword" * 60])
    )
    await chat.ended()
    await chat.replies.get_by_role("button", name="Source 1: House rules").first.click()
    passage = chat.replies.get_by_text("Dogs are welcome")
    await expect(passage).to_be_in_viewport()
    await chat.list.evaluate("element => element.scrollTo(0, 0)")
    await expect(passage).not_to_be_in_viewport()
    # the reply is rendered again
    await chat.page.evaluate("document.querySelector('button[aria-label=\"Good reply\"]').click()")
    await expect(chat.page.locator("button[aria-label='Good reply'][aria-pressed='true']")).to_have_count(1)
    assert await chat.list.evaluate("element => element.scrollTop") < 10


async def test_escape_that_ends_a_composition_leaves_no_edit(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "as it was")
    chat = await open_chat(conversation)
    editor = await chat.edit()
    await editor.fill("much written ")
    keyboard = await chat.page.context.new_cdp_session(chat.page)
    await keyboard.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    escape = {"key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 229}
    await keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **escape})
    await keyboard.send("Input.imeSetComposition", {"text": "", "selectionStart": 0, "selectionEnd": 0})
    await keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **escape})
    await expect(editor).to_have_value("much written ")


async def test_edit_that_is_scrolled_away_or_reloaded_is_kept(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    for number in range(5):
        await turn(as_visitor, conversation, script(pieces=["a line\n\n"] * 30, id=f"question {number}"))
    chat = await open_chat(conversation, viewport={"width": 900, "height": 400})
    question = chat.questions.filter(has_text="question 4")
    await question.hover()
    await question.get_by_role("button", name="Edit").click()
    editor = chat.page.get_by_role("textbox", name="Edit the message")
    await editor.fill("a better question")
    await chat.list.evaluate("element => element.scrollTo(0, 0)")
    await expect(editor).to_have_count(0)
    await chat.message.focus()
    await chat.list.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    await expect(editor).to_have_value("a better question")
    await expect(chat.message).to_be_focused()
    await chat.page.reload()
    await expect(editor).to_have_value("a better question")
    await editor.press("Escape")
    await chat.page.reload()
    await expect(question).to_be_visible()
    await expect(editor).to_have_count(0)


async def test_part_of_the_page_that_cannot_be_loaded_leaves_the_page_where_it_is(open_chat: OpenChat) -> None:
    chat = await open_chat()
    await chat.message.fill("half a thought")
    await chat.page.evaluate("window.isTheSame = true")
    await chat.page.context.set_offline(True)
    await chat.page.locator("a[href='/account']").click()
    await expect(chat.page.get_by_role("button", name="Load the page again")).to_be_visible()
    assert await chat.page.evaluate("window.isTheSame")
    await chat.page.context.set_offline(False)
    await chat.page.get_by_role("button", name="Load the page again").click()
    await expect(chat.page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_language_that_cannot_be_loaded_leaves_the_one_that_is_shown(open_page: OpenPage) -> None:
    tab = await open_page("/account")
    choice = tab.page.get_by_label("Language")
    await choice.wait_for()
    await tab.page.context.set_offline(True)
    await choice.select_option("pt-BR")
    await expect(tab.page.get_by_role("button", name="Sign out")).to_be_visible()
    await tab.page.context.set_offline(False)
    await tab.page.reload()
    await expect(tab.page.get_by_role("button", name="Sair")).to_be_visible()


async def test_problem_that_this_page_does_not_know_is_told(open_chat: OpenChat) -> None:
    chat = await open_chat()
    body = {"code": "FORBIDDEN_BY_PROXY", "title": "A wall", "status": 403}
    await chat.page.route(
        "**/v1/conversations",
        lambda route: route.fulfill(status=403, json=body) if route.request.method == "POST" else route.continue_(),
    )
    await chat.send("a long thought")
    await expect(chat.page.get_by_text("Something went wrong")).to_be_visible()
    await expect(chat.page.get_by_text("A wall")).to_be_visible()
    await expect(chat.message).to_have_value("a long thought")


HURRY = """() => {
  const [now, begun] = [Date.now, Date.now()]
  Date.now = () => begun + (now() - begun) * 60
}"""
EXPIRE = """() => {
  const key = 'sb-127-auth-token'
  localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage.getItem(key)), expires_at: 1 }))
}"""


async def test_session_that_cannot_be_renewed_for_a_while_ends_nothing(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    chat = await open_chat(await new_conversation(as_visitor))
    without: list[str] = []

    def requested(request: Request) -> None:
        if request.url.startswith(f"{chat.api.url}/v1/") and "authorization" not in request.headers:
            without.append(request.url)

    chat.page.on("request", requested)
    await chat.page.route("**/auth/v1/token**", lambda route: route.fulfill(status=502, body="away"))
    # supabase-js tries for 30 s, and not again for 60 s: the page's clock runs 60 times as fast
    await chat.page.evaluate(HURRY)
    await chat.page.evaluate(EXPIRE)
    await chat.send(script(tokens=2))
    await expect(chat.page.get_by_text("The connection was lost.")).to_be_visible()
    await chat.page.unroute("**/auth/v1/token**")
    await expect(chat.replies).to_contain_text("tok1")
    assert without == []


async def test_messages_that_may_not_be_read_this_minute_stay_as_they_are(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "before")
    chat = await open_chat(conversation)
    await expect(chat.replies).to_contain_text("tok4")
    await happens(chat.page, "!document.body.textContent.includes('before')")
    calls = await refuse(chat.page, "**/messages?**", RATE_LIMITED, times=2)
    await chat.message.fill("half a thought")
    await turn(as_visitor, conversation, "from another device")
    await expect(chat.questions).to_have_count(2)
    assert len(calls) >= 2
    assert not await chat.page.evaluate("window.happened")
    await expect(chat.message).to_have_value("half a thought")


async def test_double_click_sends_and_stops_nothing(open_chat: OpenChat, upstream: Upstream) -> None:
    chat = await open_chat(viewport={"width": 900, "height": 700})
    await chat.send(script(tokens=1))
    await chat.ended()
    await chat.message.fill(script(id="twice clicked", tokens=3, stepped=True))
    await chat.button("Send").dblclick()
    call = await upstream.call("twice clicked")
    call.step(3)
    await chat.ended()
    await expect(chat.replies.last).to_contain_text("tok2")
    await expect(chat.page.get_by_text("You stopped this reply.")).to_have_count(0)


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.ariaLabel"))


async def test_focus_is_never_lost_by_what_was_pressed(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, upstream: Upstream
) -> None:
    chat = await open_chat()
    await chat.send(script(id="stopped by key", tokens=9, stepped=True))
    (await upstream.call("stopped by key")).step(2)
    await expect(chat.replies).to_contain_text("tok1")
    found = {}
    await chat.button("Stop the reply").focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.page.get_by_text("You stopped this reply.")).to_be_visible()
    await chat.ended()
    found["stop"] = await focused(chat.page)
    editor = await chat.edit()
    await editor.fill(script(tokens=2))
    await editor.press("Enter")
    await expect(chat.replies).to_contain_text("tok1")
    await chat.ended()
    found["edit"] = await focused(chat.page)
    await chat.replies.get_by_role("button", name="Answer again").focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.replies.get_by_role("button", name="Previous version")).to_be_enabled()
    await chat.ended()
    found["another reply"] = await focused(chat.page)
    await chat.replies.get_by_role("button", name="Previous version").focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.replies.get_by_role("button", name="Next version")).to_be_enabled()
    found["previous version"] = await focused(chat.page)
    assert [name for name, element in found.items() if element.startswith("BODY")] == []


async def test_another_reply_that_is_refused_counts_down_and_is_tried_again(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    await turn(as_visitor, conversation, "Hello")
    chat = await open_chat(conversation)
    await refuse(chat.page, "**/v1/chat", RATE_LIMITED)
    await chat.replies.hover()
    await chat.button("Answer again").click()
    await expect(chat.page.get_by_text("A little too fast")).to_be_visible()
    await expect(chat.replies).to_contain_text("tok4")
    await chat.button("Try again").click()
    await expect(chat.button("Previous version")).to_be_visible()


async def test_text_that_runs_backwards_turns_no_host_around(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient
) -> None:
    conversation = await new_conversation(as_visitor)
    chat = await open_chat(conversation)
    await chat.send(script(pieces=["[bank\u202e](https://evil.example/x) after"]))
    await chat.ended()
    host = chat.replies.get_by_text("(evil.example)")
    await expect(host).to_be_visible()
    # its first letter stands left of its last one
    left = await host.evaluate(
        """element => {
          const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
          const lefts = []
          while (nodes.nextNode()) {
            for (let at = 0; at < nodes.currentNode.length; at += 1) {
              const range = document.createRange()
              range.setStart(nodes.currentNode, at)
              range.setEnd(nodes.currentNode, at + 1)
              lefts.push(range.getBoundingClientRect().left)
            }
          }
          const first = element.textContent.indexOf('evil.example')
          return [lefts[first], lefts[first + 11]]
        }"""
    )
    assert left[0] < left[1]


async def test_stop_while_the_connection_is_away_holds_when_it_is_back(open_chat: OpenChat, upstream: Upstream) -> None:
    chat = await open_chat()
    await chat.send(script(id="stopped offline", tokens=9, stepped=True))
    call = await upstream.call("stopped offline")
    call.step(2)
    await expect(chat.replies).to_contain_text("tok1")
    lost: list[str] = []

    async def lose_one(route: Route) -> None:
        lost.append(route.request.url)
        await (route.abort() if len(lost) == 1 else route.continue_())

    await chat.page.route("**/stop", lose_one)
    await chat.button("Stop the reply").click()
    await expect(chat.page.get_by_text("You stopped this reply.")).to_be_visible()


async def test_maths_and_money_stand_side_by_side(open_chat: OpenChat) -> None:
    chat = await open_chat()
    said = "It costs $5 or $6, **$7** (or **8$**), US$9 and R$ 10; $f(x) + g(x)$, $2(x + 1)$ and $x_1$ are maths."
    await chat.send(script(pieces=[said]))
    await chat.ended()
    maths = chat.replies.get_by_role("math")
    await expect(maths).to_have_count(3)
    assert [await one.get_attribute("aria-label") for one in await maths.all()] == ["f(x) + g(x)", "2(x + 1)", "x_1"]
