"""Exports: one conversation, and everything of a user, with all branches and never held whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.client import assert_problem, new_conversation, person_client, script, turn
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, sign_up


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
async def client(api: Api, person: Person) -> AsyncIterator[httpx.AsyncClient]:
    """Of somebody who has nothing yet."""
    async with person_client(api, person) as opened:
        yield opened


async def lines(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await client.get("/v1/export")
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"] == 'attachment; filename="parley-export.jsonl"'
    return [json.loads(line) for line in response.text.split("\n")[:-1]]


async def test_nothing_yet(client: httpx.AsyncClient) -> None:
    head, end = await lines(client)
    assert (head["type"], head["version"]) == ("parley.export", 1)
    assert end == {"type": "end", "documents": 0, "conversations": 0, "messages": 0}


async def test_everything_of_mine(client: httpx.AsyncClient, as_stranger: httpx.AsyncClient) -> None:
    theirs = await new_conversation(as_stranger, title="Theirs")
    await turn(as_stranger, theirs)
    document = (await client.post("/v1/documents", json={"title": "D", "content": "Text", "metadata": {"a": 1}})).json()
    conversation, other = await new_conversation(client, title="Mine"), await new_conversation(client)
    first = await turn(client, conversation, script(pieces=["one\u2028", "\ntwo"]))
    edited = await turn(client, conversation, script(pieces=["edited"]), parent_id=None)
    await client.put(f"/v1/messages/{first['id']}/feedback", json={"rating": "up", "comment": "Good."})
    head, *items, end = await lines(client)
    assert head["version"] == 1
    assert [item["type"] for item in items] == ["document", "conversation", *["message"] * 4, "conversation"]
    assert (items[0]["id"], items[0]["title"], items[0]["metadata"]) == (document["id"], "D", {"a": 1})
    assert (items[1]["id"], items[1]["title"], items[1]["head_id"]) == (conversation, "Mine", edited["id"])
    assert items[-1]["id"] == other
    assert [(item["id"], item["content"]) for item in items[2:6]][1::2] == [
        (first["id"], "one\u2028\ntwo"),
        (edited["id"], "edited"),
    ]
    assert items[3]["feedback"] == {"rating": "up", "comment": "Good."}
    assert end == {"type": "end", "documents": 1, "conversations": 2, "messages": 4}


async def test_one_conversation_as_json(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client, title="Mine")
    reply = await turn(client, conversation)
    response = await client.get(f"/v1/conversations/{conversation}/export")
    name = f"conversation-{conversation}.json"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
    exported = response.json()
    assert (exported["type"], exported["version"]) == ("parley.export", 1)
    assert exported["conversation"]["id"] == conversation
    assert [message["id"] for message in exported["messages"]] == [reply["parent_id"], reply["id"]]


async def test_one_conversation_as_markdown(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client, title="A\ntitle")
    await turn(client, conversation, script(pieces=["hidden"]))
    reply = await turn(client, conversation, script(pieces=["# shown"]), parent_id=None)
    await client.put(f"/v1/messages/{reply['id']}/feedback", json={"rating": "down", "comment": "Why?"})
    response = await client.get(f"/v1/conversations/{conversation}/export", params={"format": "markdown"})
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    asked, answered = reply["created_at"][:16].replace("T", " "), reply["model"]
    assert response.text == (
        f"# A title\n\n## You, {asked}\n\n{script(pieces=['# shown'])}\n"
        f"\n## Assistant ({answered}), {asked}\n\n# shown\n\n*Feedback: down: Why?*\n"
    )


async def test_unknown_format(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client)
    response = await client.get(f"/v1/conversations/{conversation}/export", params={"format": "pdf"})
    assert "markdown" in assert_problem(response, 422, "invalid_request")["detail"]


async def test_every_message_once_over_many_parts(
    client: httpx.AsyncClient, person: Person, stack: LocalSupabase
) -> None:
    """450 messages, some of which fill a part alone, and 250 conversations."""
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        owner.execute(
            "insert into public.conversations (user_id, title) select %s, 'c' || n from generate_series(1, 250) as n",
            [person.id],
        )
        owner.execute(
            "insert into public.messages (conversation_id, user_id, role, content) "
            "select c.id, c.user_id, 'user', n || repeat('x', case when n %% 50 = 0 then 150000 else 0 end) "
            "from public.conversations as c cross join generate_series(1, 450) as n "
            "where c.user_id = %s and c.title = 'c101' order by n",
            [person.id],
        )
    _, *items, end = await lines(client)
    assert [item["title"] for item in items if item["type"] == "conversation"] == [f"c{n}" for n in range(1, 251)]
    texts = [item["content"].rstrip("x") for item in items if item["type"] == "message"]
    assert texts == [str(n) for n in range(1, 451)]
    assert (end["conversations"], end["messages"]) == (250, 450)
    whole = (await client.get(f"/v1/conversations/{items[101 - 1]['id']}/export")).json()
    assert [message["content"].rstrip("x") for message in whole["messages"]] == texts
    readable = await client.get(f"/v1/conversations/{items[101 - 1]['id']}/export", params={"format": "markdown"})
    assert readable.text.count("\n## You, ") == 1  # the branch of the newest beginning


async def test_places_are_limited_and_given_back(
    api: Api, person: Person, client: httpx.AsyncClient, stack: LocalSupabase
) -> None:
    """Readers that do not read hold their places until they leave."""
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        owner.execute(
            "with c as (insert into public.conversations (user_id) values (%s) returning id, user_id) "
            "insert into public.messages (conversation_id, user_id, role, content) "
            "select c.id, c.user_id, 'user', repeat('x', 900000) from c cross join generate_series(1, 60)",
            [person.id],
        )
    async with AsyncExitStack() as readers:
        for _ in range(3):
            response = await readers.enter_async_context(client.stream("GET", "/v1/export"))
            assert response.status_code == 200
        assert_problem(await client.get("/v1/export"), 429, "rate_limited")
    await eventually(lambda: _answers(client), within=20)


async def _answers(client: httpx.AsyncClient) -> bool:
    async with client.stream("GET", "/v1/export") as response:
        return response.status_code == 200
