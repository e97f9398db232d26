"""Every state of the client without a finding of axe, in light, in dark and as wide as a phone, with a screenshot each.

The screenshots go to `web/dist-states`, which git ignores; `make screenshots` copies the README's from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from playwright.async_api import Page, Route, expect

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import REPOSITORY
from tests.support.client import new_conversation, turn
from tests.support.documents import put_in
from tests.support.service import Api, Person, sign_up
from tests.support.upstream import Upstream
from tests.web.accessibility import findings
from tests.web.pages import OpenPage

FOLDER = REPOSITORY / "web" / "dist-states"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "has_touch": True},
}
QUESTION = "We have one day in Rome. Where do we walk, and when does the kitchen of our house close?"
ANSWER = (
    "Three places in one walk:\n\n",
    "1. **Sant'Ivo alla Sapienza**, for the light under its dome\n",
    "2. The *Aventine keyhole*, early in the morning\n",
    "3. Testaccio's market, for lunch [1]\n\n",
    "| From | To | On foot |\n|---|---|---|\n| Navona | Sant'Ivo | 6 min |\n| Sant'Ivo | Keyhole | 25 min |\n\n",
    "The kitchen of your house closes at ten, and dogs are welcome in the garden [2].\n",
)


def problem(status: int, code: str, **headers: str) -> Callable[[Route], Awaitable[None]]:
    """Answers a call with this problem, as the API does."""
    body = {
        "type": f"urn:parley:problem:{code}",
        "title": code,
        "status": status,
        "code": code,
        "request_id": "c0ffee42",
    }

    async def answer(route: Route) -> None:
        content = "application/problem+json"
        await route.fulfill(status=status, body=json.dumps(body), headers={"Content-Type": content, **headers})

    return answer


async def held_back(_: Route) -> None:
    """Never answers a call."""


@pytest.fixture(scope="module")
async def resident(stack: LocalSupabase) -> Person:
    """A user with some conversations and documents, the same in all states."""
    return await sign_up(stack, email="lena@example.com")


@pytest.fixture(scope="module")
async def rome(resident: Person, web_api: Api, upstream: Upstream) -> str:
    """Their conversation about Rome; its id."""
    async with httpx.AsyncClient(base_url=web_api.url, headers=resident.headers, timeout=60) as client:
        for title in ("Minutes of the board", "Row level security, explained", "Names for a boat"):
            await new_conversation(client, title=title)
        await put_in(client, "The kitchen closes at ten. Dogs are welcome in the garden.", title="House rules")
        await put_in(client, "In Rome, walk to Testaccio's market and bring shoes for wet stone.", title="Rome on foot")
        made = await new_conversation(client, title="A walk through Rome")
        upstream.script = {"pieces": list(ANSWER)}
        try:
            await turn(client, made, QUESTION)
        finally:
            upstream.script = {}
        return made


CUT_SHORT = {"filtered": "content_filter", "interrupted": None, "stopped": None, "failed": None}
"""How a reply may end that is not whole, and its reason."""


@pytest.fixture(scope="module")
def cut_short(stack: LocalSupabase, resident: Person) -> dict[str, str]:
    """Their conversations whose reply has ended so; the ids."""
    made = {}
    unavailable = {
        "type": "urn:parley:problem:provider_unavailable",
        "title": "The provider does not answer",
        "status": 503,
        "code": "provider_unavailable",
        "request_id": "c0ffee42",
    }
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, false)", ('{"role": "service_role"}',))

        def inserted(statement: str, *values: object) -> Any:
            row = connection.execute(statement, values).fetchone()
            assert row
            return row[0]

        for status, reason in CUT_SHORT.items():
            conversation = inserted(
                "insert into public.conversations (user_id, title) values (%s, %s) returning id", resident.id, status
            )
            question = inserted(
                "insert into public.messages (conversation_id, user_id, role, content, status)"
                " values (%s, %s, 'user', %s, 'complete') returning id",
                conversation,
                resident.id,
                QUESTION,
            )
            reply = inserted(
                "insert into public.messages (conversation_id, user_id, role, content, status, parent_id, provider,"
                " model, finish_reason, error_code, problem)"
                " values (%s, %s, 'assistant', %s, %s, %s, 'openai', 'scripted-1', %s, %s, %s) returning id",
                conversation,
                resident.id,
                "".join(ANSWER[:2]),
                status,
                question,
                reason,
                "provider_unavailable" if status == "failed" else None,
                json.dumps(unavailable) if status == "failed" else None,
            )
            connection.execute("update public.conversations set head_id = %s where id = %s", (reply, conversation))
            made[status] = str(conversation)
    return made


async def shown(page: Page, look: str, state: str) -> None:
    """Keep a picture of the state, and hold it against axe."""
    FOLDER.mkdir(exist_ok=True)
    await page.evaluate("document.fonts.ready")
    await page.screenshot(path=FOLDER / f"{state}-{look}.png", animations="disabled")
    assert await findings(page) == []


@pytest.mark.parametrize("look", LOOKS)
async def test_without_an_account(open_page: OpenPage, look: str) -> None:
    page = (await open_page(person=None, **LOOKS[look])).page
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await shown(page, look, "sign-in")
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_label("Password").fill("not this one")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, look, "sign-in-refused")


@pytest.mark.parametrize("look", LOOKS)
async def test_without_anything_yet(open_page: OpenPage, stack: LocalSupabase, look: str) -> None:
    page = (await open_page(person=await sign_up(stack, plan=None), **LOOKS[look])).page
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    await shown(page, look, "empty")
    await page.goto(page.url + "account")
    await expect(page.get_by_text("A plan is needed to chat")).to_be_visible()
    await shown(page, look, "premium-required")


@pytest.mark.parametrize("look", LOOKS)
async def test_at_home(open_page: OpenPage, resident: Person, rome: str, look: str) -> None:
    page = (await open_page(f"/c/{rome}", person=resident, **LOOKS[look])).page
    await expect(page.get_by_role("article", name="Reply")).to_contain_text("Testaccio")
    await expect(page.get_by_role("main").get_by_role("table")).to_be_visible()
    await shown(page, look, "conversation")
    await page.get_by_role("button", name="Model: Automatic").click()
    await expect(page.get_by_role("radio", name="scripted-1 openai")).to_be_visible()
    await shown(page, look, "models")
    await page.keyboard.press("Escape")
    if look == "phone":
        await page.get_by_role("button", name="Show conversations").click()
    await page.get_by_role("textbox", name="Search conversations").fill("testaccio")
    await expect(page.locator("mark").first).to_be_visible()
    await shown(page, look, "search")


@pytest.mark.parametrize("look", LOOKS)
async def test_documents_and_help(open_page: OpenPage, resident: Person, rome: str, look: str) -> None:
    page = (await open_page("/documents", person=resident, **LOOKS[look])).page
    await expect(page.get_by_text("House rules", exact=True)).to_be_visible()
    photo = {"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n"}
    await page.locator("input[type=file]").set_input_files(files=[photo])
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, look, "documents")
    await page.get_by_role("heading", name="Documents").click()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await shown(page, look, "help")
    await page.keyboard.press("Escape")
    await page.goto(page.url.replace("/documents", "/account"))
    await expect(page.get_by_role("meter").first).to_be_visible()
    await shown(page, look, "account")


@pytest.mark.parametrize("look", LOOKS)
async def test_while_something_is_wrong(open_page: OpenPage, resident: Person, rome: str, look: str) -> None:
    page = (await open_page("/documents", person=resident, **LOOKS[look])).page
    await expect(page.get_by_text("House rules", exact=True)).to_be_visible()
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await shown(page, look, "offline")
    await page.context.set_offline(False)
    await expect(page.get_by_text("You are offline")).to_have_count(0)

    await page.route("**/v1/documents?*", problem(500, "internal_error"))
    await page.route("**/v1/documents", problem(500, "internal_error"))
    await page.reload()
    await expect(page.get_by_role("alert").filter(has_text="c0ffee42")).to_be_visible()
    await shown(page, look, "error")

    await page.unroute_all()
    await page.route("**/v1/documents", problem(429, "rate_limited", **{"Retry-After": "30"}))
    await page.reload()
    await expect(page.get_by_role("button", name="Try again in")).to_be_disabled()
    await shown(page, look, "rate-limited")

    await page.unroute_all()
    await page.route("**/v1/documents", problem(503, "draining", **{"Retry-After": "1"}))
    await page.reload()
    await expect(page.get_by_text("The server restarts. This page")).to_be_visible()
    await shown(page, look, "draining")

    await page.unroute_all()
    await page.route("**/v1/documents", held_back)
    await page.reload()
    await expect(page.get_by_text("The service is slow to answer")).to_be_visible()
    await shown(page, look, "slow")
    await page.unroute_all()  # which lets it go on
    await expect(page.get_by_text("House rules", exact=True)).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
async def test_replies_that_are_not_whole(
    open_page: OpenPage, resident: Person, cut_short: dict[str, str], look: str
) -> None:
    page = (await open_page("/documents", person=resident, **LOOKS[look])).page
    said = {
        "filtered": "filter ended this reply.",
        "interrupted": "The reply was interrupted",
        "stopped": "You stopped this reply.",
        "failed": "c0ffee42",
    }
    for status, words in said.items():
        await page.goto(page.url.partition("/documents")[0].partition("/c/")[0] + f"/c/{cut_short[status]}")
        reply = page.get_by_role("article", name="Reply")
        await expect(reply).to_contain_text(words)
        await expect(reply).to_contain_text("the light under its dome")
        may_retry = status in ("interrupted", "failed")
        await expect(reply.get_by_role("button", name="Try again")).to_have_count(1 if may_retry else 0)
        await shown(page, look, status)


@pytest.mark.parametrize("look", LOOKS)
async def test_while_a_conversation_is_read(open_page: OpenPage, resident: Person, rome: str, look: str) -> None:
    page = (await open_page("/documents", person=resident, **LOOKS[look])).page
    await page.route("**/messages?*", held_back)
    await page.goto(page.url.replace("/documents", f"/c/{rome}"))
    await expect(page.get_by_text("Reading the conversation …")).to_be_visible()
    await shown(page, look, "loading")
    await page.unroute_all()  # which lets those that are held go on
    await expect(page.get_by_role("article", name="Reply")).to_contain_text("Testaccio")


@pytest.mark.parametrize("look", LOOKS)
async def test_page_that_does_not_exist(open_page: OpenPage, resident: Person, look: str) -> None:
    page = (await open_page("/no/such/page", person=resident, **LOOKS[look])).page
    await expect(page.get_by_text("This page does not exist")).to_be_visible()
    await shown(page, look, "not-found")


NAMES = {
    "en": {
        "actions": "Actions for “A walk through Rome”",
        "bad": "Bad reply",
        "comment": "What was wrong? (optional)",
        "create": "Create a key",
        "edit": "Edit",
        "erase": "Delete everything",
        "find": "Search conversations",
        "help": "Keyboard shortcuts",
        "key": "What it is for",
        "model": "Model: Automatic",
        "once": "It is not shown again",
        "rename": "Rename",
        "reply": "Reply",
        "revoke": "Revoke: editor",
        "source": "Source 1",
        "title": "Title",
        "undo": "Undo",
        "you": "You",
    },
    "pt-BR": {
        "actions": "Ações para “A walk through Rome”",
        "bad": "Resposta ruim",
        "comment": "O que estava errado? (opcional)",
        "create": "Criar uma chave",
        "edit": "Editar",
        "erase": "Excluir tudo",
        "find": "Buscar conversas",
        "help": "Atalhos de teclado",
        "key": "Para que serve",
        "model": "Modelo: Automático",
        "once": "Ela não será mostrada de novo",
        "rename": "Renomear",
        "reply": "Resposta",
        "revoke": "Revogar: editor",
        "source": "Fonte 1",
        "title": "Título",
        "undo": "Desfazer",
        "you": "Você",
    },
}


async def opened_one_after_the_other(page: Page, names: dict[str, str]) -> AsyncGenerator[str]:
    """Opens all that opens in a conversation and in the account; the name of each, while it is open."""
    yield "conversation"
    await page.get_by_role("button", name=re.compile(f"^{names['source']}")).first.click()
    yield "source"
    await page.get_by_role("button", name=names["bad"]).click()
    await expect(page.get_by_label(names["comment"])).to_be_visible()
    yield "comment"
    await page.get_by_role("button", name=names["bad"]).click()
    await page.get_by_role("article", name=names["you"]).hover()
    await page.get_by_role("button", name=names["edit"], exact=True).click()
    yield "editing"
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=names["model"]).click()
    await expect(page.get_by_role("radio").nth(1)).to_be_visible()
    yield "models"
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=names["actions"]).click()
    await expect(page.get_by_role("menu")).to_be_visible()
    yield "menu of a conversation"
    await page.get_by_role("menuitem", name=names["rename"]).click()
    await expect(page.get_by_role("textbox", name=names["title"])).to_be_visible()
    yield "renaming"
    await page.keyboard.press("Escape")
    await page.get_by_role("textbox", name=names["find"]).fill("testaccio")
    await expect(page.locator("mark").first).to_be_visible()
    yield "search"
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=names["help"]).click()
    await expect(page.get_by_role("dialog", name=names["help"])).to_be_visible()
    yield "help"
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="lena@example.com").click()
    await page.get_by_label(names["key"]).fill("editor")
    await page.get_by_role("button", name=names["create"]).click()
    await expect(page.get_by_text(names["once"])).to_be_visible()
    yield "account with a new key"
    await page.get_by_role("button", name=names["erase"]).click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    yield "deleting everything"
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=names["revoke"]).click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    yield "revoking"
    await page.get_by_role("dialog").get_by_role("button").last.click()
    await expect(page.get_by_role("button", name=names["revoke"])).to_have_count(0)
    await page.get_by_role("link", name="A boat (").press("Delete")
    await expect(page.get_by_role("button", name=names["undo"])).to_be_visible()
    yield "undo"


@pytest.mark.parametrize(("language", "look"), [("en", "light"), ("pt-BR", "dark")])
async def test_what_opens_has_no_findings_in_both_languages(
    open_page: OpenPage, web_api: Api, resident: Person, rome: str, language: str, look: str
) -> None:
    async with httpx.AsyncClient(base_url=web_api.url, headers=resident.headers, timeout=60) as client:
        await new_conversation(client, title=f"A boat ({language})")
    page = (await open_page(f"/c/{rome}", person=resident, locale=language, **LOOKS[look])).page
    await expect(page.get_by_role("article", name=NAMES[language]["reply"])).to_contain_text("Testaccio")
    found = {name: await findings(page) async for name in opened_one_after_the_other(page, NAMES[language])}
    assert found == {name: [] for name in found}
    assert len(found) == 13


async def test_motion_is_reduced_where_the_user_wants_it(open_page: OpenPage) -> None:
    page = (await open_page(reduced_motion="reduce")).page
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    times = "getComputedStyle(document.documentElement).getPropertyValue('--calm')"
    assert await page.evaluate(times) in ("0ms", "0s")
