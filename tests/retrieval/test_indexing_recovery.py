"""Killed while it indexes, the service goes on where it was: no passage is missing and none is there twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.client import person_client
from tests.support.documents import found, indexed, put_in
from tests.support.service import running_api, sign_up

Connection = psycopg.Connection[tuple[Any, ...]]
LONG = "\n\n".join(f"Fact number {number}: " + "the river carries more water in spring. " * 30 for number in range(500))


async def until_indexing(database: Connection, document_id: str) -> int:
    """How many passages are indexed, once it is some of them."""
    async with asyncio.timeout(60):
        while True:
            row = database.execute("select status, indexed from public.documents where id = %s", [document_id])
            status, count = row.fetchone() or (None, 0)
            assert status in ("pending", "indexing"), "it was indexed before it could be killed"
            if count:
                return int(count)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_another_process_goes_on(stack: LocalSupabase, database: Connection, tmp_path: Path, end: str) -> None:
    person = await sign_up(stack)
    async with running_api(stack, tmp_path / "first.log", EMBEDDING_MODEL="local") as first:
        async with person_client(first, person) as client:
            answer = await client.post("/v1/documents", json={"title": "River", "content": LONG})
            assert answer.status_code == 201, answer.text
            document_id = answer.json()["id"]
            done = await until_indexing(database, document_id)
        first.kill() if end == "kill" else first.terminate()
        await first.ended(15)
    if end == "kill":  # as if the time of its lease had passed
        database.execute("update private.index_jobs set due_at = now() where document_id = %s", [document_id])
    stopped = database.execute("select status, indexed from public.documents where id = %s", [document_id]).fetchone()
    assert stopped is not None
    assert stopped[0] == "indexing"
    assert stopped[1] >= done

    async with (
        running_api(stack, tmp_path / "second.log", EMBEDDING_MODEL="local") as second,
        person_client(second, person) as client,
    ):
        # what is half indexed is not searched yet; it may be whole by now
        early = await found(client, "river in spring")
        assert early == [] or (await client.get(f"/v1/documents/{document_id}")).json()["status"] == "ready"
        document = await indexed(client, document_id)
        assert document["status"] == "ready"
        assert len(await found(client, "river in spring", limit=100)) == 100
    row = database.execute(
        "select count(*), count(distinct passage), min(passage), max(passage), count(distinct revision) "
        "from public.embeddings where document_id = %s",
        [document_id],
    ).fetchone()
    count = document["passages"]
    assert count > 200
    assert row == (count, count, 0, count - 1, 1)
    text = database.execute(
        "select string_agg(content, '' order by passage) from public.embeddings where document_id = %s", [document_id]
    ).fetchone()
    assert text is not None
    assert "".join(text[0].split()) == "".join(LONG.split())


async def test_a_provider_s_bad_minute_does_not_fail_a_document(
    stack: LocalSupabase, database: Connection, tmp_path: Path, aimock: Any
) -> None:
    person = await sign_up(stack)
    aimock.chaos(dropRate=1)
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1"}
    async with running_api(stack, tmp_path / "api.log", **settings) as api, person_client(api, person) as client:
        answer = await client.post("/v1/documents", json={"title": "Tea", "content": "Green tea."})
        async with asyncio.timeout(30):
            while not database.execute(  # noqa: ASYNC110 - it is the database that changes
                "select 1 from private.index_jobs where document_id = %s and attempts > 0", [answer.json()["id"]]
            ).fetchone():
                await asyncio.sleep(0.05)
        aimock.calm()
        assert (await indexed(client, answer.json()["id"]))["status"] == "ready"


async def test_a_text_that_is_refused_fails_with_the_reason(stack: LocalSupabase, tmp_path: Path, aimock: Any) -> None:
    person = await sign_up(stack)
    aimock.error(400, "secret words of the provider")
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1"}
    async with running_api(stack, tmp_path / "api.log", **settings) as api, person_client(api, person) as client:
        document = await put_in(client, "Green tea.")
        assert (document["status"], document["error"]) == ("failed", "The embedding provider refuses the text.")
        # what docs/runbook.md says to look for
        lines = [json.loads(line) for line in (tmp_path / "api.log").read_text().splitlines() if "postponed" in line]
        told = [(line["event"], line["provider"], line["error"], line["final"]) for line in lines]
        assert told == [("indexing.postponed", "openai", "RequestRefused", True)]
        aimock.reset()
        assert (await put_in(client, "Green tea."))["status"] == "ready"
