"""Documents in tests: sending them, waiting for their index, and what a reply was given of them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.support.sse import Transcript

PATIENCE_SECONDS = 60.0


async def put_in(client: httpx.AsyncClient, content: str, title: str = "Notes", **body: Any) -> dict[str, Any]:
    """Store a text and wait until it is indexed; the document."""
    answer = await client.post("/v1/documents", json={"title": title, "content": content, **body})
    assert answer.status_code in (200, 201), answer.text
    return await indexed(client, answer.json()["id"])


async def put_in_file(client: httpx.AsyncClient, name: str, data: bytes, **form: str) -> dict[str, Any]:
    """Store a file and wait until it is indexed; the document."""
    answer = await client.post("/v1/documents", files={"file": (name, data)}, data=form)
    assert answer.status_code in (200, 201), answer.text
    return await indexed(client, answer.json()["id"])


async def indexed(client: httpx.AsyncClient, document_id: str) -> dict[str, Any]:
    """The document, once its indexing is over."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            document: dict[str, Any] = (await client.get(f"/v1/documents/{document_id}")).json()
            if document["status"] in ("ready", "failed"):
                return document
            await asyncio.sleep(0.05)


async def found(client: httpx.AsyncClient, query: str, **body: Any) -> list[dict[str, Any]]:
    """The passages that a search returns."""
    answer = await client.post("/v1/search", json={"query": query, **body})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def sources_of(transcript: Transcript) -> list[dict[str, Any]]:
    return [event.data for event in transcript.events if event.name == "sources"]
