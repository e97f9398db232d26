"""An embedding provider that is dead: it stops no search that does not need it, and what is missing is said."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.aimock import AIMock
from tests.support.client import assert_problem, new_conversation, person_client, send
from tests.support.documents import found, put_in, sources_of
from tests.support.service import Api, running_api, sign_up

MODEL = "text-embedding-3-small"
TEA = "Green tea brews at eighty degrees for two minutes."
MILK = "Milk for the tea is heated to sixty degrees."


@pytest.fixture
async def api(stack: LocalSupabase, tmp_path: Path, aimock: AIMock) -> AsyncGenerator[Api]:
    """An API whose replies and vectors come from `aimock`."""
    aimock.reply("So it is.", user="hot")
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1", "EMBEDDING_MODEL": MODEL}
    async with running_api(stack, tmp_path / "api.log", **settings) as running:
        yield running


@pytest.fixture
async def clients(stack: LocalSupabase, offline: Api, api: Api) -> AsyncGenerator[tuple[httpx.AsyncClient, ...]]:
    """One user's clients of the API that embeds by itself, and of the one that asks `aimock`."""
    person = await sign_up(stack)
    async with AsyncExitStack() as opened:
        yield tuple([await opened.enter_async_context(person_client(each, person)) for each in (offline, api)])


def die(aimock: AIMock) -> None:
    """From here on no vector is made, and the journal begins anew; replies come as before."""
    aimock.reset()
    aimock.error(503, model=MODEL)
    aimock.reply("So it is.", user="hot")


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
async def test_who_has_local_vectors_alone_needs_nobody(
    clients: tuple[httpx.AsyncClient, ...], aimock: AIMock, mode: str
) -> None:
    offline, client = clients
    await put_in(offline, TEA)
    die(aimock)
    [passage] = await found(client, "How hot should green tea be?", mode=mode)
    assert passage["content"] == TEA
    conversation = await new_conversation(client)
    for _ in range(2):  # the second turn searches beside begin_turn
        [sources] = sources_of(await send(client, conversation, "How hot should green tea be?"))
        assert ([item["excerpt"] for item in sources["items"]], sources["error"]) == ([TEA], None)
    assert aimock.journal("/embeddings") == []


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
async def test_what_can_be_searched_is_and_what_not_is_said(
    clients: tuple[httpx.AsyncClient, ...], aimock: AIMock, mode: str
) -> None:
    offline, client = clients
    await put_in(offline, TEA)
    await put_in(client, MILK)
    die(aimock)
    answer = await client.post("/v1/search", json={"query": "hot tea, green", "mode": mode, "threshold": -1})
    assert answer.status_code == 200, answer.text
    assert [passage["content"] for passage in answer.json()["items"]] == [TEA]
    assert answer.json()["missing"] == [MODEL]
    conversation = await new_conversation(client)
    for _ in range(2):
        transcript = await send(client, conversation, "How hot should green tea be?")
        [sources] = sources_of(transcript)
        assert [item["excerpt"] for item in sources["items"]] == [TEA]
        assert sources["error"] == "provider_unavailable"
        assert transcript.ending is not None
        assert transcript.ending.name == "done"


async def test_when_it_is_back_nothing_is_missing(clients: tuple[httpx.AsyncClient, ...]) -> None:
    offline, client = clients
    await put_in(offline, TEA)
    await put_in(client, MILK)
    answer = await client.post("/v1/search", json={"query": MILK, "threshold": -1})
    assert {passage["content"] for passage in answer.json()["items"]} == {TEA, MILK}
    assert answer.json()["missing"] == []


async def test_nothing_that_can_be_searched_is_an_error(clients: tuple[httpx.AsyncClient, ...], aimock: AIMock) -> None:
    _, client = clients
    await put_in(client, MILK)
    die(aimock)
    answer = await client.post("/v1/search", json={"query": "tea"})
    assert MODEL in assert_problem(answer, 503, "provider_unavailable")["detail"]
    assert int(answer.headers["retry-after"]) > 0
    [sources] = sources_of(await send(client, await new_conversation(client), "How hot is it?"))
    assert sources == {"items": [], "error": "provider_unavailable"}


async def test_without_passages_nobody_is_asked(clients: tuple[httpx.AsyncClient, ...], aimock: AIMock) -> None:
    _, client = clients
    die(aimock)
    answer = await client.post("/v1/search", json={"query": "tea"})
    assert (answer.status_code, answer.json()) == (200, {"items": [], "missing": []})
    conversation = await new_conversation(client)
    for _ in range(2):
        assert sources_of(await send(client, conversation, "How hot is it?")) == []
    assert aimock.journal("/embeddings") == []


async def test_deleted_passages_need_nobody(clients: tuple[httpx.AsyncClient, ...], aimock: AIMock) -> None:
    offline, client = clients
    await put_in(offline, TEA)
    milk = await put_in(client, MILK)
    assert (await client.delete(f"/v1/documents/{milk['id']}")).status_code == 204
    die(aimock)
    answer = await client.post("/v1/search", json={"query": "green tea"})
    assert ([passage["content"] for passage in answer.json()["items"]], answer.json()["missing"]) == ([TEA], [])
    assert aimock.journal("/embeddings") == []
