"""Another embedding model: two are never compared, everything is found throughout, and a kill costs little."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from scripts.local_supabase import LocalSupabase
from tests.aimock import AIMock
from tests.client import person_client
from tests.retrieval.documents import found, put_in
from tests.service import ROOT, Api, environment, running_api, sign_up

Connection = psycopg.Connection[tuple[Any, ...]]
NEW = "text-embedding-3-small"
FACT = "Green tea brews at eighty degrees."
LONG = "\n\n".join(f"Fact {number}: " + "the river carries more water in spring. " * 30 for number in range(160))


def models(database: Connection, user_id: str) -> dict[str, int]:
    rows = database.execute(
        "select embedding_model, count(*) from public.embeddings where user_id = %s group by 1", [user_id]
    ).fetchall()
    return dict(rows)


def started(stack: LocalSupabase, aimock: AIMock) -> subprocess.Popen[bytes]:
    """The command, beside whatever runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "app.retrieval.reembed"],
        cwd=ROOT,
        env=environment(stack, OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{aimock.url}/v1", EMBEDDING_MODEL=NEW),
        stderr=subprocess.PIPE,
    )


async def test_a_switch_compares_no_two_models(
    stack: LocalSupabase, offline: Api, tmp_path: Path, aimock: AIMock
) -> None:
    """Under the new model there is nothing to compare with: the query is embedded by the one that the passages have."""
    person = await sign_up(stack)
    async with person_client(offline, person) as client:
        await put_in(client, FACT)
        (before,) = await found(client, "green tea", threshold=-1)
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1", "EMBEDDING_MODEL": NEW}
    async with running_api(stack, tmp_path / "new.log", **settings) as api, person_client(api, person) as client:
        (after,) = await found(client, "green tea", threshold=-1)
        assert after == before
        rpc = {"query_embedding": str([1.0] * 1536), "match_threshold": -1, "embedding_model": NEW}
        headers = {"apikey": stack.publishable_key}
        answer = await client.post(f"{stack.url}/rest/v1/rpc/match_embeddings", json=rpc, headers=headers)
        assert answer.json() == []


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
                assert len(await found(client, FACT, threshold=-1, limit=1)) == 1
        first.kill()
        first.communicate()
        made = models(database, person.id)
        assert made["local"] == total
        assert 64 <= made[NEW] <= total

        calls = len(aimock.journal("/embeddings"))
        second = started(stack, aimock)
        while second.poll() is None:
            # by whichever model: of the new one, the very words are the nearest
            (best,) = await found(client, FACT, threshold=-1, limit=1)
            assert best["content"] == FACT
        assert second.returncode == 0, second.communicate()
        second.communicate()
        assert models(database, person.id) == {NEW: total}
        assert (await found(client, FACT, limit=1))[0]["similarity"] > 0.99
        # by batches of 64, the first ones are not paid for again
        assert len(aimock.journal("/embeddings")) - calls < total

        third = started(stack, aimock)
        _, said = await asyncio.to_thread(third.communicate)
        assert third.returncode == 0
        assert f"every passage has {NEW}" in said.decode()
        assert models(database, person.id) == {NEW: total}
