"""Documents over HTTP: stored once, indexed, listed, replaced at once, deleted whole, and nobody else's."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import psycopg
import pytest

from tests.retrieval.office import book, docx, slides, workbook
from tests.support.client import assert_problem
from tests.support.documents import found, indexed, put_in, put_in_file
from tests.support.pdf import pdf

Connection = psycopg.Connection[tuple[Any, ...]]
TEA = "Green tea brews at eighty degrees for two minutes."


async def test_a_text_is_stored_and_indexed(reader: httpx.AsyncClient) -> None:
    created = await reader.post("/v1/documents", json={"title": "Tea", "content": TEA, "metadata": {"lang": "en"}})
    assert created.status_code == 201
    assert created.headers["location"] == f"/v1/documents/{created.json()['id']}"
    document = await indexed(reader, created.json()["id"])
    assert (document["status"], document["passages"], document["indexed"]) == ("ready", 1, 1)
    assert (document["title"], document["metadata"]) == ("Tea", {"lang": "en"})
    assert (document["embedding_model"], document["error"]) == ("local", None)
    (passage,) = await found(reader, "How hot should green tea be?")
    assert passage["document_id"] == document["id"]
    assert passage["content"] == TEA
    assert passage["metadata"] == {"lang": "en", "start": 0, "end": len(TEA)}


@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        ("tea.txt", TEA.encode(), {}),
        ("tea.md", f"# Drinks\n\n## Tea\n\n{TEA}".encode(), {"heading": "Drinks"}),
        (
            "tea.html",
            f"<title>Drinks</title><script>let tea = 1</script><h1>Tea</h1><p>{TEA}</p>".encode(),
            {"heading": "Tea"},
        ),
        ("tea.pdf", pdf(["A page about nothing in particular. " * 12, TEA]), {"page": 1}),
    ],
)
async def test_files(reader: httpx.AsyncClient, name: str, data: bytes, place: dict[str, object]) -> None:
    document = await put_in_file(reader, name, data)
    assert document["status"] == "ready"
    assert document["title"] == ("Drinks" if name.endswith("html") else name)
    (passage,) = await found(reader, "brewing green tea", limit=1)
    assert TEA in passage["content"]
    assert "let tea" not in passage["content"]
    assert {key: passage["metadata"].get(key) for key in place} == place


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tea.docx", docx([("Heading1", "Drinks"), (None, TEA)])),
        ("tea.pptx", slides([("Drinks", TEA, "")])),
        ("tea.xlsx", workbook({"Drinks": [["drink", "how"], ["tea", TEA]]})),
        ("tea.epub", book([("tea.xhtml", f"<h1>Drinks</h1><p>{TEA}</p>")])),
        ("tea.csv", f"drink;how\ntea;{TEA}\n".encode()),
    ],
)
async def test_office_files_and_books_are_found(reader: httpx.AsyncClient, name: str, data: bytes) -> None:
    assert (await put_in_file(reader, name, data))["status"] == "ready"
    (passage,) = await found(reader, "brewing green tea", limit=1)
    assert TEA in passage["content"]


async def test_a_document_says_how_many_of_its_pages_hold_no_text(reader: httpx.AsyncClient) -> None:
    scanned = await put_in_file(reader, "tea.pdf", pdf([TEA, "", ""]))
    assert (scanned["pages"], scanned["pages_without_text"]) == (3, 2)
    replaced = await reader.put(f"/v1/documents/{scanned['id']}", json={"title": "Tea", "content": TEA})
    assert replaced.status_code == 200
    document = await indexed(reader, scanned["id"])
    assert (document["pages"], document["pages_without_text"]) == (None, None)


async def test_a_title_may_be_given_with_a_file(reader: httpx.AsyncClient) -> None:
    document = await put_in_file(reader, "x.txt", TEA.encode(), title="On tea", metadata='{"shelf": 3}')
    assert (document["title"], document["metadata"]) == ("On tea", {"shelf": 3})


async def test_the_same_content_is_the_same_document(reader: httpx.AsyncClient, another: httpx.AsyncClient) -> None:
    body = {"title": "Tea", "content": TEA}
    answers = await asyncio.gather(*(reader.post("/v1/documents", json=body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    (document_id,) = {answer.json()["id"] for answer in answers}
    await indexed(reader, document_id)
    assert (await reader.post("/v1/documents", json=body)).json()["status"] == "ready"
    assert len(await found(reader, "tea", limit=10)) == 1
    assert (await another.post("/v1/documents", json=body)).status_code == 201


async def test_a_replacement_takes_over_at_once(reader: httpx.AsyncClient, database: Connection) -> None:
    document = await put_in(reader, "\n\n".join(f"Green tea, fact {number}. {TEA} " * 12 for number in range(60)))
    new = "\n\n".join(f"Black coffee, fact {number}. Espresso is pressed by nine bars. " * 12 for number in range(60))
    path = f"/v1/documents/{document['id']}"
    seen = set()
    replacing = asyncio.create_task(reader.put(path, json={"title": "Coffee", "content": new}))
    while True:
        state = (await reader.get(path)).json()
        passages = [passage["content"][:12] for passage in await found(reader, "green tea or black coffee", limit=100)]
        seen.add("/".join(sorted(set(passages))))
        if replacing.done() and state["status"] == "ready" and state["title"] == "Coffee":
            break
    assert (await replacing).status_code == 200
    assert seen == {"Green tea, f", "Black coffee"}
    left = database.execute(
        "select count(*), count(distinct passage) from public.embeddings where document_id = %s", [document["id"]]
    ).fetchone()
    assert left == ((await reader.get(path)).json()["passages"],) * 2


async def test_a_replacement_by_another_document_s_content_is_refused(reader: httpx.AsyncClient) -> None:
    tea = await put_in(reader, TEA)
    coffee = await put_in(reader, "Coffee is another drink.")
    answer = await reader.put(f"/v1/documents/{coffee['id']}", json={"title": "x", "content": TEA})
    assert_problem(answer, 409, "conflict")
    assert (await reader.put(f"/v1/documents/{tea['id']}", json={"title": "T", "content": TEA})).status_code == 200


async def test_a_deleted_document_is_gone(reader: httpx.AsyncClient, database: Connection) -> None:
    document = await put_in(reader, TEA)
    assert (await reader.delete(f"/v1/documents/{document['id']}")).status_code == 204
    assert_problem(await reader.get(f"/v1/documents/{document['id']}"), 404, "not_found")
    assert await found(reader, "green tea") == []
    for table in ("public.embeddings", "private.document_passages", "private.index_jobs"):
        query = f"select count(*) from {table} where document_id = %s"  # noqa: S608
        row = database.execute(query, [document["id"]]).fetchone()
        assert row == (0,)


async def test_nobody_else_sees_or_touches_it(reader: httpx.AsyncClient, another: httpx.AsyncClient) -> None:
    document = await put_in(reader, TEA)
    path = f"/v1/documents/{document['id']}"
    for answer in (
        await another.get(path),
        await another.delete(path),
        await another.put(path, json={"title": "x", "content": "y"}),
    ):
        assert_problem(answer, 404, "not_found")
    assert (await another.get("/v1/documents")).json()["items"] == []
    assert await found(another, "green tea", threshold=-1, filter={"document_id": document["id"]}) == []
    assert (await reader.get(path)).status_code == 200


async def test_lists_page_by_page_newest_first(reader: httpx.AsyncClient) -> None:
    sent = [(await put_in(reader, f"{TEA} {number}"))["id"] for number in range(5)]
    listed: list[str] = []
    cursor: str | None = None
    while True:
        page = (await reader.get("/v1/documents", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        listed += [document["id"] for document in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert listed == sent[::-1]


async def test_progress_is_told_on_realtime(reader: httpx.AsyncClient, database: Connection) -> None:
    document = await put_in(reader, "\n\n".join(f"Fact {number} about tea. {TEA} " * 12 for number in range(80)))
    rows = database.execute(
        "select topic, private, payload - 'id' from realtime.messages where payload ->> 'document_id' = %s "
        "order by inserted_at",
        [document["id"]],
    ).fetchall()
    assert {(topic.split(":")[0], private) for topic, private, _ in rows} == {("user", True)}
    payloads = [payload for *_, payload in rows]
    assert {key for payload in payloads for key in payload} == {"document_id", "status", "passages", "indexed", "error"}
    assert payloads[-1]["status"] == "ready"
    counts = [payload["indexed"] for payload in payloads]
    assert counts == sorted(counts)
    assert counts[-1] == document["passages"]
    assert any(0 < count < document["passages"] for count in counts)


@pytest.mark.parametrize(
    ("request_body", "status", "code"),
    [
        ({"json": {"title": "", "content": "x"}}, 422, "invalid_request"),
        ({"json": {"title": "x", "content": ""}}, 422, "invalid_request"),
        ({"json": {"title": "x", "content": " \n "}}, 422, "invalid_request"),
        ({"json": {"title": "x", "content": "y", "user_id": "z"}}, 422, "invalid_request"),
        ({"json": {"title": "x", "content": "y", "metadata": {"m": "x" * 5000}}}, 422, "invalid_request"),
        ({"data": {"title": "x"}, "files": {"other": ("a.txt", b"x")}}, 422, "invalid_request"),
        ({"files": {"file": ("a.exe", b"MZ\x90\x00")}}, 422, "invalid_request"),
        ({"files": {"file": ("a.txt", b"x")}, "data": {"metadata": "[1]"}}, 422, "invalid_request"),
        ({"data": {"titel": "x"}, "files": {"file": ("a.txt", b"x")}}, 422, "invalid_request"),
        ({"data": {"title": "x" * 501}, "files": {"file": ("a.txt", b"x")}}, 422, "invalid_request"),
        ({"data": {"metadata": "{"}, "files": {"file": ("a.txt", b"x")}}, 400, "invalid_request"),
        ({"content": b"title", "headers": {"content-type": "text/csv"}}, 415, "invalid_request"),
        ({"content": b'{"title": "x", "content": "y"}'}, 415, "invalid_request"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "invalid_request"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "invalid_request"),
        ({"files": {"file": ("a.txt", b"x" * 10_485_761)}}, 413, "payload_too_large"),
        ({"files": {"file": ("a.txt", b"One sentence of a book. " * 200_000)}}, 413, "payload_too_large"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
async def test_what_is_refused(reader: httpx.AsyncClient, request_body: Any, status: int, code: str) -> None:
    assert_problem(await reader.post("/v1/documents", **request_body), status, code)
    assert (await reader.get("/v1/documents")).json()["items"] == []


async def test_without_a_token(offline: Any) -> None:
    async with httpx.AsyncClient(base_url=offline.url) as client:
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{uuid.uuid4()}")):
            assert_problem(await client.request(method, f"/v1/documents{path}"), 401, "unauthenticated")
        assert_problem(await client.post("/v1/search", json={"query": "x"}), 401, "unauthenticated")


async def test_search_by_words_finds_what_meaning_does_not(reader: httpx.AsyncClient) -> None:
    await put_in(reader, "Order XK-4711 was shipped on Monday.")
    await put_in(reader, TEA)
    (passage, *_) = await found(reader, "XK-4711", mode="hybrid", threshold=0.99)
    assert "XK-4711" in passage["content"]
    assert passage["score"] > 0
    assert await found(reader, "XK-4711", mode="vector", threshold=0.99) == []


async def test_a_filter_is_contained_in_the_metadata(reader: httpx.AsyncClient) -> None:
    await put_in(reader, TEA, metadata={"lang": "en"})
    await put_in(reader, f"{TEA} Once more.", metadata={"lang": "de"})
    assert len(await found(reader, "green tea")) == 2
    (passage,) = await found(reader, "green tea", filter={"lang": "de"})
    assert passage["metadata"]["lang"] == "de"
    assert await found(reader, "green tea", filter={"lang": "fr"}, mode="hybrid") == []


@pytest.mark.parametrize(
    "body", [{}, {"query": ""}, {"query": "x", "limit": 0}, {"query": "x", "mode": "y"}, {"query": "x", "user": 1}]
)
async def test_searches_that_are_refused(reader: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert_problem(await reader.post("/v1/search", json=body), 422, "invalid_request")


@pytest.mark.parametrize("charset", ["iso-8859-1", '"latin1"', "koi8-r", "utf-16-be"])
async def test_the_charset_of_a_file_is_that_of_its_part(reader: httpx.AsyncClient, charset: str) -> None:
    text = "Привет из Киева." if charset == "koi8-r" else "Der Bürgermeister heißt Jörg Müßigbrodt."
    file = ("mayor.txt", text.encode(charset.strip('"')), f"text/plain; charset={charset}")
    created = await reader.post("/v1/documents", files={"file": file})
    assert created.status_code == 201, created.text
    await indexed(reader, created.json()["id"])
    (passage,) = await found(reader, text)
    assert passage["content"] == text


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, {"content": b"not json", "headers": {"Content-Type": "application/json"}}),
        (400, {"content": b'{"title": "x", "content": "\\ud800"}', "headers": {"Content-Type": "application/json"}}),
        (400, {"files": {"title": (None, b"\xff\xfe"), "file": ("x.txt", b"A text")}}),
        (422, {"files": [("file", ("x.txt", b"One")), ("file", ("y.txt", b"Two"))]}),
        (422, {"files": {"file": ("x.txt", b"A text", "text/plain; charset=klingon")}}),
    ],
)
async def test_what_cannot_be_a_document_is_a_problem(
    reader: httpx.AsyncClient, status: int, request_: dict[str, Any]
) -> None:
    assert_problem(await reader.post("/v1/documents", **request_), status, "invalid_request")
    assert (await reader.get("/v1/documents")).json()["items"] == []
