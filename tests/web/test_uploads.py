"""Files on their way to the documents: dropped on any page, and told of wherever the user is when they fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.support.replica_client import eventually
from tests.support.service import Person
from tests.web.pages import OpenChat, OpenPage, hold

REFUSED: dict[str, Any] = {
    "status": 413,
    "json": {"type": "urn:parley:problem:payload_too_large", "title": "Too large", "status": 413}
    | {"code": "payload_too_large", "detail": "The file has 99 MB; the most is 20 MB."},
}


def told(page: Page, title: str) -> Locator:
    """The message at the lower edge with this title."""
    return page.get_by_role("dialog").filter(has_text=title)


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("main").get_by_role("listitem").filter(has_text=title)


async def choose(page: Page, name: str) -> None:
    await page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": b"The kitchen closes at ten."}
    )


async def drop(page: Page, at: Locator, *paths: Path) -> None:
    """Drop files of this machine as a hand does: the browser decides what comes of it."""
    box = await at.bounding_box()
    assert box
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    hand = await page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        await hand.send("Input.dispatchDragEvent", {"type": kind, **point, "data": data})


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("The kitchen closes at ten.")
    return path


async def test_upload_that_fails_after_its_page_was_left_is_told_and_is_there_on_coming_back(
    open_page: OpenPage,
) -> None:
    page = (await open_page("/documents")).page
    held = await hold(page, "**/v1/documents", method="POST")
    await choose(page, "rules.txt")
    await eventually(lambda: held)
    await page.get_by_role("link", name="New conversation").click()
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    await held[0].fulfill(**REFUSED)
    message = told(page, "“rules.txt” was not added")
    await expect(message).to_contain_text("Too large: The file has 99 MB; the most is 20 MB.")
    await page.get_by_role("link", name="Documents", exact=True).click()
    await expect(row(page, "rules.txt").get_by_role("alert")).to_contain_text("the most is 20 MB")
    # it is told once
    await expect(message).to_have_count(0)


async def test_closing_the_page_while_a_file_is_on_its_way_is_asked_about(open_page: OpenPage) -> None:
    page = (await open_page("/documents")).page
    held = await hold(page, "**/v1/documents", method="POST")
    await choose(page, "rules.txt")
    await eventually(lambda: held)
    await page.get_by_role("heading", name="Documents").click()  # a browser asks nobody who has done nothing
    asked = []

    async def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", stay)
    await page.close(run_before_unload=True)
    await eventually(lambda: asked)
    assert asked == ["beforeunload"]
    await held[0].abort()


async def test_file_dropped_on_a_chat_is_a_document_and_what_is_written_stays(
    open_chat: OpenChat, as_visitor: httpx.AsyncClient, note: Path
) -> None:
    chat = await open_chat()
    await chat.message.fill("half a thought")
    await drop(chat.page, chat.message, note)
    await expect(told(chat.page, "“note.txt” is in your documents")).to_be_visible()
    await expect(chat.message).to_have_value("half a thought")
    assert chat.page.url == f"{chat.api.url}/"
    assert len(chat.page.context.pages) == 1
    assert [one["title"] for one in (await as_visitor.get("/v1/documents")).json()["items"]] == ["note.txt"]


@pytest.mark.parametrize("path", ["/account", "/sign-in"])
async def test_file_dropped_where_none_is_taken_opens_nothing(
    open_page: OpenPage, visitor: Person, as_visitor: httpx.AsyncClient, note: Path, path: str
) -> None:
    page = (await open_page(path, person=None if path == "/sign-in" else visitor)).page
    await page.get_by_role("heading").first.wait_for()
    await page.evaluate("window.isTheSame = true")
    await drop(page, page.locator("body"), note)
    await page.evaluate("fetch('/config.json')")
    assert await page.evaluate("window.isTheSame")
    assert len(page.context.pages) == 1
    assert (await as_visitor.get("/v1/documents")).json()["items"] == []


async def test_folder_and_file_that_is_gone_are_no_lost_connection(
    open_page: OpenPage, note: Path, tmp_path: Path
) -> None:
    folder, gone = tmp_path / "papers", tmp_path / "gone.txt"
    folder.mkdir()
    gone.write_text("a text")
    page = (await open_page("/documents")).page
    await expect(page.get_by_text("No documents yet")).to_be_visible()
    await drop(page, page.get_by_text("Drop files here"), folder, note)
    await expect(row(page, "note.txt")).to_contain_text("1 passage")
    why = row(page, "papers").get_by_role("alert")
    await expect(why).to_have_text("Folders cannot be uploaded: Choose the files in it instead.")

    async def lose(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        await asyncio.to_thread(gone.unlink)
        await route.abort()

    await page.route("**/v1/documents", lose)
    await page.locator("input[type=file]").set_input_files(gone)
    await expect(row(page, "gone.txt").get_by_role("alert")).to_contain_text("The file cannot be read")
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
