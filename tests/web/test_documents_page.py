"""Documents in a real browser: chosen, dropped, followed to the end, refused in plain words, deleted."""

from __future__ import annotations

import httpx
from playwright.async_api import Locator, Page, expect

from tests.support.documents import put_in
from tests.web.pages import OpenPage


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("main").get_by_role("listitem").filter(has_text=title)


async def test_chosen_file_is_read_and_ready(open_page: OpenPage) -> None:
    tab = await open_page("/documents")
    await expect(tab.page.get_by_text("No documents yet")).to_be_visible()
    rules = {"name": "rules.md", "mimeType": "text/markdown", "buffer": b"# House rules\n\nThe kitchen closes at ten."}
    await tab.page.locator("input[type=file]").set_input_files(files=[rules])
    await expect(row(tab.page, "rules.md")).to_contain_text("1 passage")
    assert tab.console_errors == []


async def test_dropped_files_are_taken(open_page: OpenPage) -> None:
    tab = await open_page("/documents")
    await expect(tab.page.get_by_text("No documents yet")).to_be_visible()
    transfer = await tab.page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer()
          for (const name of ['one.txt', 'two.txt', 'three.txt'])
            transfer.items.add(new File([`The text of ${name}.`], name, { type: 'text/plain' }))
          return transfer
        }"""
    )
    await tab.page.get_by_role("heading", name="Documents").dispatch_event("drop", {"dataTransfer": transfer})
    for name in ("one.txt", "two.txt", "three.txt"):
        await expect(row(tab.page, name)).to_contain_text("1 passage")


async def test_refused_file_says_why_and_can_be_dismissed(open_page: OpenPage) -> None:
    tab = await open_page("/documents")
    files = [
        {"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n"},
        {"name": "<b>empty</b>.txt", "mimeType": "text/plain", "buffer": b""},
    ]
    await tab.page.locator("input[type=file]").set_input_files(files=files)
    photo, empty = row(tab.page, "photo.png"), row(tab.page, "<b>empty</b>.txt")
    await expect(photo.get_by_role("alert")).to_contain_text("The service did not take this")
    await expect(empty.get_by_role("alert")).to_be_visible()
    await photo.get_by_role("button", name="Dismiss").click()
    await expect(photo).to_have_count(0)
    await expect(empty).to_have_count(1)


async def test_interrupted_upload_can_be_tried_again(open_page: OpenPage) -> None:
    tab = await open_page("/documents")
    await expect(tab.page.get_by_text("No documents yet")).to_be_visible()
    await tab.page.route("**/v1/documents", lambda route: route.abort())
    note = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"A note."}
    await tab.page.locator("input[type=file]").set_input_files(files=[note])
    await expect(row(tab.page, "note.txt").get_by_role("alert")).to_contain_text("No connection")
    await tab.page.unroute("**/v1/documents")
    await row(tab.page, "note.txt").get_by_role("button", name="Try again").click()
    await expect(row(tab.page, "note.txt")).to_contain_text("1 passage")


async def test_document_that_another_device_deletes_goes_by_itself(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    kept = await put_in(as_visitor, "The kitchen closes at ten.", title="House rules")
    gone = await put_in(as_visitor, "The garage is locked at midnight.", title="Garage")
    page = (await open_page("/documents")).page
    await expect(row(page, "Garage")).to_be_visible()
    await as_visitor.delete(f"/v1/documents/{gone['id']}")
    await expect(row(page, "Garage")).to_have_count(0)
    await expect(row(page, "House rules")).to_be_visible()
    await as_visitor.delete(f"/v1/documents/{kept['id']}")
    await expect(page.get_by_text("No documents yet")).to_be_visible()


async def test_document_of_another_device_comes_and_is_deleted(
    open_page: OpenPage, as_visitor: httpx.AsyncClient
) -> None:
    tab = await open_page("/documents")
    await expect(tab.page.get_by_text("No documents yet")).to_be_visible()
    await put_in(as_visitor, "The kitchen closes at ten.", title="House rules")
    await expect(row(tab.page, "House rules")).to_contain_text("1 passage")
    async with tab.page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        await row(tab.page, "House rules").get_by_role("button", name="Delete “House rules”").click()
        message = tab.page.get_by_role("dialog").filter(has_text="is deleted")
        await message.get_by_role("button", name="Close").click()
    assert (await deleted.value).status == 204
    await expect(tab.page.get_by_text("No documents yet")).to_be_visible()
    assert (await as_visitor.get("/v1/documents")).json()["items"] == []


async def test_focus_goes_to_the_next_row_when_one_goes(open_page: OpenPage, as_visitor: httpx.AsyncClient) -> None:
    for title in ("last", "middle"):
        await put_in(as_visitor, f"some words of {title}", title)
    tab = await open_page("/documents")
    await tab.page.locator("input[type=file]").set_input_files(
        {"name": "empty.txt", "mimeType": "text/plain", "buffer": b""}
    )
    await tab.page.get_by_role("button", name="Dismiss").press("Enter")
    for title in ("middle", "last"):
        button = tab.page.get_by_role("button", name=f"Delete “{title}”")
        await expect(button).to_be_focused()
        await button.press("Enter")
    await expect(tab.page.get_by_role("button", name="Choose files")).to_be_focused()
