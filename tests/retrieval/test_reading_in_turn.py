"""Files that are slow to read: each has its time, its owner pays for it, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from app.errors import Draining, RateLimited
from app.retrieval.library import FREE_SECONDS
from app.retrieval.reader import WAITING_BYTES, WAITING_BYTES_OF_A_USER, FileReader
from app.retrieval.worker import Read
from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection, one
from tests.support.client import assert_problem, person_client
from tests.support.service import Api, running_api, sign_up

SECONDS = 4
SLOW = "\n".join("  " * depth + "- item" for depth in range(1500)).encode()
"""A list in a list, 1,500 deep: its parser takes time that grows with the square of that."""
REQUESTS = 10


@pytest.fixture(scope="module")
async def service(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Api]:
    log = tmp_path_factory.mktemp("reading") / "api.log"
    async with running_api(stack, log, EMBEDDING_MODEL="local", DOCUMENT_READ_SECONDS=str(SECONDS)) as running:
        yield running


def slow(client: httpx.AsyncClient, number: int = 0) -> asyncio.Task[httpx.Response]:
    data = SLOW + f"\n{number}".encode()
    return asyncio.create_task(client.post("/v1/documents", files={"file": ("slow.md", data)}, timeout=300))


async def test_file_that_takes_too_long_is_refused_and_its_time_is_charged(
    stack: LocalSupabase, service: Api, database: Connection
) -> None:
    plan = f"plan-{uuid.uuid4().hex[:12]}"
    database.execute("insert into private.plans (plan, requests_per_minute) values (%s, %s)", [plan, REQUESTS])
    person = await sign_up(stack, plan)
    async with person_client(service, person) as client:
        problem = assert_problem(await slow(client), 422, "invalid_request")
    assert problem["detail"] == f"The document takes more than {SECONDS} s to be read, which is the limit."
    spent = (
        "select extract(epoch from full_at - clock_timestamp()) from private.meters "
        "where user_id = %s and kind = 'document'"
    )
    charged = 1 + SECONDS - FREE_SECONDS
    step = 60 / REQUESTS
    assert (charged - 1) * step < one(database, spent, [person.id]) <= charged * step


async def test_documents_of_another_user_do_not_wait_for_one_user_s(stack: LocalSupabase, service: Api) -> None:
    async with (
        person_client(service, await sign_up(stack)) as hostile,
        person_client(service, await sign_up(stack)) as other,
    ):
        pages = [slow(hostile, number) for number in range(4)]
        answer = await other.post("/v1/documents", json={"title": "Tea", "content": "Green tea."}, timeout=300)
        assert answer.status_code == 201
        assert [page.done() for page in pages] == [False] * 4
        for page in await asyncio.gather(*pages):
            assert_problem(page, 422, "invalid_request")


class Stuck(FileReader):
    """Its processes read until they are told to end."""

    def __init__(self) -> None:
        super().__init__(max_passages=1, seconds=1)
        self.ended = asyncio.Event()

    async def _in_worker(self, *_: Any) -> Read:
        await self.ended.wait()
        return Read()


async def test_one_user_s_bytes_leave_room_for_those_of_others() -> None:
    reader, size = Stuck(), WAITING_BYTES_OF_A_USER // 2
    reading = [asyncio.create_task(reader.read("flood", b"x" * size, "text/plain")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await reader.read("flood", b"x", "text/plain")
    # one file of a user is taken, however large
    reading.append(asyncio.create_task(reader.read("other", b"x" * (WAITING_BYTES - 2 * size), "text/plain")))
    await asyncio.sleep(0)
    with pytest.raises(Draining):
        await reader.read("third", b"x", "text/plain")
    reader.ended.set()
    await asyncio.gather(*reading)
    await reader.read("flood", b"x", "text/plain")
