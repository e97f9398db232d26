"""The model selector: what there is, what it costs, why something is not available, and that the choice is sent."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support import upstream as scripted
from tests.support.client import script
from tests.support.upstream import Upstream
from tests.web.pages import OpenChat


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
