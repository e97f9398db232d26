"""Another embedding model: two are never compared, everything is found throughout, and a kill costs little."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg

from scripts.local_supabase import LocalSupabase
from tests.support.aimock import AIMock
from tests.support.client import person_client
from tests.support.documents import found, indexed, put_in
from tests.support.service import ROOT, Api, environment, running_api, sign_up

Connection = psycopg.Connection[tuple[Any, ...]]
NEW = "text-embedding-3-small"
FACT = "Green tea brews at eighty degrees."
NEWS = "Black tea brews at ninety-five degrees."
LONG = "\n\n".join(f"Fact {number}: " + "the river carries more water in spring. " * 30 for number in range(160))


def models(database: Connection, user_id: str) -> dict[str, int]:
    rows = database.execute(
        "select embedding_model, count(*) from public.embeddings where user_id = %s group by 1", [user_id]
    ).fetchall()
    return dict(rows)


async def best(client: httpx.AsyncClient) -> object:
    """What answers best: among the passages of any model, the very words."""
    return (await found(client, FACT, threshold=-1, limit=1))[0]["content"]


async def matching(client: httpx.AsyncClient, stack: LocalSupabase, model: str) -> list[dict[str, Any]]:
    """Whatever the user has under the model, by the database's function."""
    call = {"query_embedding": str([1.0] * 1536), "match_threshold": -1, "match_count": 200, "embedding_model": model}
    headers = {"apikey": stack.publishable_key}
    answer = await client.post(f"{stack.url}/rest/v1/rpc/match_embeddings", json=call, headers=headers)
    passages: list[dict[str, Any]] = answer.json()
    return passages


def started(stack: LocalSupabase, aimock: AIMock) -> subprocess.Popen[bytes]:
    """The command, beside whatever runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "app.retrieval.reembed"],
        cwd=ROOT,
        env=environment(stack, OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{aimock.url}/v1", EMBEDDING_MODEL=NEW),
        stderr=subprocess.PIPE,
    )


async def test_a_switch_compares_no_two_models(
    stack: LocalSupabase, database: Connection, offline: Api, tmp_path: Path, aimock: AIMock
) -> None:
    """The query is embedded by the model that the passages have, and by both when they have two."""
    person = await sign_up(stack)
    async with person_client(offline, person) as client:
        await put_in(client, FACT)
        (before,) = await found(client, "green tea", threshold=-1)
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1", "EMBEDDING_MODEL": NEW}
    async with running_api(stack, tmp_path / "new.log", **settings) as api, person_client(api, person) as client:
        (after,) = await found(client, "green tea", threshold=-1)
        assert after == before
        # what comes in now has the new model, and is found beside what still has the old one
        await put_in(client, NEWS)
        assert models(database, person.id) == {"local": 1, NEW: 1}
        for query in (FACT, NEWS):
            for mode in ("vector", "hybrid"):
                passages = await found(client, query, threshold=-1, mode=mode)
                assert [passage["content"] for passage in passages] == ([FACT, NEWS] if query == FACT else [NEWS, FACT])
        assert [passage["content"] for passage in await matching(client, stack, NEW)] == [NEWS]


async def test_everything_is_found_throughout_and_a_kill_is_survived(
    stack: LocalSupabase, database: Connection, tmp_path: Path, aimock: AIMock
) -> None:
    person = await sign_up(stack)
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1", "EMBEDDING_MODEL": "local"}
    async with running_api(stack, tmp_path / "api.log", **settings) as api, person_client(api, person) as client:
        await put_in(client, FACT)
        long = await put_in(client, LONG, title="River")
        total = long["passages"] + 1

        first = started(stack, aimock)
        async with asyncio.timeout(60):
            while models(database, person.id).get(NEW, 0) < 64:
                assert first.poll() is None, "it ended before it could be killed"
                assert await best(client) == FACT
        first.kill()
        first.communicate()
        made = models(database, person.id)
        assert made["local"] >= long["passages"], "the old vectors go with the last of the new ones only"
        assert 64 <= made[NEW] <= total
        # what is not whole is hidden
        assert {passage["content"] for passage in await matching(client, stack, NEW)} <= {FACT}

        calls = len(aimock.journal("/embeddings"))
        second = started(stack, aimock)
        while second.poll() is None:
            assert await best(client) == FACT
        assert second.returncode == 0, second.communicate()
        second.communicate()
        assert models(database, person.id) == {NEW: total}
        assert (await found(client, FACT, limit=1))[0]["similarity"] > 0.99
        # by batches of 64, the first ones are not paid for again
        assert len(aimock.journal("/embeddings")) - calls < total

        third = started(stack, aimock)
        _, said = await asyncio.to_thread(third.communicate)
        assert third.returncode == 0
        assert f"0 vectors made with {NEW}; nothing is left" in " ".join(said.decode().split())
        assert models(database, person.id) == {NEW: total}


def half_moved(database: Connection, document_id: str) -> None:
    """As the command leaves a document when it is killed: one passage has its new vector."""
    database.execute(
        "with moved as (update public.documents set next_revision = nextval('private.revisions') where id = %s "
        "returning id, revision, next_revision) "
        "insert into public.embeddings "
        "(document_id, user_id, revision, passage, content, metadata, embedding, embedding_model) "
        "select e.document_id, e.user_id, m.next_revision, e.passage, e.content, e.metadata, e.embedding, 'other' "
        "from public.embeddings as e join moved as m on m.id = e.document_id where e.passage = 0",
        [document_id],
    )


async def test_a_document_that_is_replaced_while_it_is_moved(
    stack: LocalSupabase, database: Connection, offline: Api
) -> None:
    person = await sign_up(stack)
    async with person_client(offline, person) as client:
        document = await put_in(client, LONG)
        half_moved(database, document["id"])
        assert models(database, person.id) == {"local": document["passages"], "other": 1}
        answer = await client.put(f"/v1/documents/{document['id']}", json={"title": "Tea", "content": FACT})
        assert answer.status_code == 200, answer.text
        await indexed(client, document["id"])
        assert models(database, person.id) == {"local": 1}
        assert await best(client) == FACT


async def test_a_move_that_is_given_up_leaves_nothing(stack: LocalSupabase, database: Connection, offline: Api) -> None:
    person = await sign_up(stack)
    async with person_client(offline, person) as client:
        document = await put_in(client, FACT)
        half_moved(database, document["id"])
        assert await matching(client, stack, "other") == []
        database.execute("select public.passages_to_reembed('local', 1)")
        assert models(database, person.id) == {"local": 1}
        assert await best(client) == FACT
