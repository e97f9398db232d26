"""One user's flood of calls is the flooder's own problem: the others read, send and are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from app.api.unanswered import MOST_OTHERS, MOST_TURNS
from app.store.client import POOL_SIZE, READS_AT_ONCE, READS_OF_A_USER, TURNS_OF_A_USER
from scripts.local_supabase import LocalSupabase
from tests.api.tokens import claims_of, sign
from tests.support.client import WAIT, assert_problem, new_conversation, turn
from tests.support.gateway import Gateway
from tests.support.service import Api, Person, sign_up

FLOOD = 300
QUICKLY = 8.0
"""Seconds for what takes milliseconds, however busy the machine is. A call of Supabase that is held takes ten."""
READ, BEGIN = "/rest/v1/conversations", "/rest/v1/rpc/begin_turn"


People = Callable[..., Awaitable[Person]]


@pytest.fixture
async def people(stack: LocalSupabase, project: Gateway) -> AsyncGenerator[People]:
    """Signs people up, with tokens of the gateway's project. Afterwards it holds nobody's calls."""

    async def new(plan: str | None = "premium") -> Person:
        person = await sign_up(stack, plan)
        person.token = sign(claims_of(project.url, person.id), stack.signing_key)
        return person

    yield new
    project.release()


@asynccontextmanager
async def client_of(service: Api, person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """As many connections as it likes."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=service.url, headers=person.headers, limits=limits, timeout=60) as client:
        yield client


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.02)


async def test_flood_of_reads_leaves_others_their_sends_and_reads(
    service: Api, project: Gateway, people: People
) -> None:
    flooder, person = await people(None), await people()
    async with client_of(service, flooder) as flood, client_of(service, person) as other:
        project.hold(flooder.token)
        reads = [asyncio.create_task(flood.get("/v1/conversations")) for _ in range(FLOOD)]
        await until(lambda: project.held[READ] == READS_OF_A_USER)
        async with asyncio.timeout(QUICKLY):
            reply = await turn(other, await new_conversation(other))
        assert reply["status"] == "complete"
        assert (await other.get("/v1/conversations")).status_code == 200
        assert project.held[READ] == READS_OF_A_USER
        project.release()
        answers = await asyncio.gather(*reads)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[429] >= FLOOD - MOST_OTHERS
    for answer in answers:
        if answer.status_code == 429:
            assert assert_problem(answer, 429, "rate_limited")["detail"]
            assert answer.headers["retry-after"] == "1"


async def test_new_tokens_are_no_new_shares(
    stack: LocalSupabase, service: Api, project: Gateway, people: People
) -> None:
    flooder = await people(None)
    tokens = [sign(claims_of(project.url, flooder.id), stack.signing_key) for _ in range(4)]
    project.hold(*tokens)
    async with client_of(service, flooder) as flood:
        reads = [
            asyncio.create_task(flood.get("/v1/conversations", headers={"Authorization": f"Bearer {token}"}))
            for token in tokens
            for _ in range(FLOOD // len(tokens))
        ]
        # those that are refused are answered; the others run or wait
        await until(
            lambda: sum(read.done() for read in reads) >= FLOOD - MOST_OTHERS and project.held[READ] >= READS_OF_A_USER
        )
        assert project.held[READ] == READS_OF_A_USER
        project.release()
        await asyncio.gather(*reads)


async def test_turns_begin_while_reads_take_all_there_is_for_them(
    service: Api, project: Gateway, people: People
) -> None:
    crowd = [await people(None) for _ in range(POOL_SIZE // READS_OF_A_USER + 1)]
    person = await people()
    async with client_of(service, person) as other:
        conversation = await new_conversation(other)
        project.hold(*(one.token for one in crowd))
        reads = [
            asyncio.create_task(other.get("/v1/conversations", headers=one.headers))
            for one in crowd
            for _ in range(READS_OF_A_USER)
        ]
        await until(lambda: project.held[READ] >= READS_AT_ONCE)
        async with asyncio.timeout(QUICKLY):
            begun = await other.post(f"/v1/conversations/{conversation}/messages", json={"content": "Hello"})
        assert begun.status_code == 202
        project.release()
        answers = await asyncio.gather(*reads)
        # those that wait for a place are refused when it takes too long
        assert {answer.status_code for answer in answers} <= {200, 503}


async def test_flood_of_sends_leaves_others_theirs(service: Api, project: Gateway, people: People) -> None:
    flooder, person = await people(), await people()
    async with client_of(service, flooder) as flood, client_of(service, person) as other:
        path = f"/v1/conversations/{await new_conversation(flood)}/messages"
        conversation = await new_conversation(other)
        project.hold(flooder.token)
        sends = [asyncio.create_task(flood.post(path, json={"content": "Hello"})) for _ in range(MOST_TURNS + 50)]
        await until(lambda: project.held[BEGIN] == TURNS_OF_A_USER)
        async with asyncio.timeout(QUICKLY):
            answer = await other.post(
                f"/v1/conversations/{conversation}/messages", json={"content": "Hello"}, headers=WAIT
            )
        assert (answer.status_code, answer.json()["status"]) == (200, "complete")
        assert project.held[BEGIN] == TURNS_OF_A_USER
        project.release()
        statuses = Counter(answer.status_code for answer in await asyncio.gather(*sends))
        # those that were held may have been given up
        assert statuses.keys() <= {202, 429, 503}
        assert statuses[429] >= 50
