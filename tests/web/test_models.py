"""The model selector: what there is, what it costs, why something is not available, and that the choice is sent."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.browser import NewPage
from tests.support.client import new_conversation, person_client, script
from tests.support.service import Person, running_api
from tests.support.upstream import Upstream
from tests.web.pages import Chat, OpenChat, session_script


async def test_choice_of_model_reasoning_and_documents_goes_with_the_message(
    open_chat: OpenChat, upstream: Upstream
) -> None:
    chat = await open_chat()
    await chat.page.get_by_role("button", name="Use my documents").click()
    await chat.page.get_by_role("button", name="Model: Automatic").click()
    options = chat.page.get_by_role("radiogroup", name="Model")
    await options.get_by_role("radio", name=f"{scripted.MODEL} openai").click()
    await chat.page.get_by_role("radiogroup", name="Reasoning").get_by_role("radio", name="High").click()
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.get_by_role("button", name=f"Model: {scripted.MODEL}")).to_be_visible()
    async with chat.page.expect_request("**/v1/chat") as sent:
        await chat.send(script(id="chosen-model"))
    body = (await sent.value).post_data_json
    assert (body["provider"], body["model"]) == ("openai", scripted.MODEL)
    assert (body["reasoning"], body["use_rag"]) == ("high", False)
    await chat.ended()
    # the choice stays for the next visit
    await chat.page.reload()
    await expect(chat.page.get_by_role("button", name=f"Model: {scripted.MODEL}")).to_be_visible()


async def test_unavailable_models_say_why_and_cannot_be_chosen(open_chat: OpenChat) -> None:
    chat = await open_chat()
    await chat.page.get_by_role("button", name="Model: Automatic").click()
    options = chat.page.get_by_role("radiogroup", name="Model")
    gemini = options.get_by_role("radio").filter(has_text="gemini").first
    await expect(gemini).to_contain_text("Its provider is not set up, or does not answer")
    await expect(gemini).to_be_disabled()
    await chat.page.get_by_role("textbox", name="Find a model").fill("LUNA")
    luna = options.get_by_role("radio").filter(has_text="gpt-6-luna")
    await expect(luna).to_contain_text("1.1M context · $0.10 in, $0.50 out / 1M tokens")
    await expect(gemini).to_have_count(0)


async def test_provider_s_outage_is_told_where_the_model_is_chosen(
    stack: LocalSupabase, visitor: Person, new_page: NewPage, upstream: Upstream, tmp_path: Path
) -> None:
    """On an API of its own: its breaker stays open for a while."""
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "ENABLE_RAG": "false",
        "WEB": "on",
    }
    async with running_api(stack, tmp_path / "api.log", **settings) as api, person_client(api, visitor) as client:
        conversation = await new_conversation(client)
        for _ in range(9):
            upstream.script = {"status": 500}
            try:
                failed = await client.post(
                    f"/v1/conversations/{conversation}/messages", json={"content": "Hi"}, headers={"Prefer": "wait"}
                )
            finally:
                upstream.script = {}
            models = (await client.get("/v1/models")).json()["items"]
            own = next(one for one in models if one["model"] == scripted.MODEL)
            if own["breaker"] == "open":
                break
        assert (failed.status_code, own["breaker"]) in ((200, "open"), (503, "open"))
        tab = await new_page()
        await tab.page.add_init_script(await session_script(stack, visitor))
        await tab.page.goto(f"{api.url}/c/{conversation}")
        chat = Chat(tab, api)
        await chat.page.get_by_role("button", name="Model: Automatic").click()
        option = chat.page.get_by_role("radio").filter(has_text=scripted.MODEL).first
        await expect(option).to_contain_text("Failing: other models answer meanwhile")
        await chat.page.keyboard.press("Escape")
        await chat.send("And now?")
        await expect(chat.page.get_by_text("No model can answer now").last).to_be_visible()
