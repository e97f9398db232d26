"""Bodies: who may not send one is told before it is read; what is sent at once is bounded, for users and for all."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from app.api.in_flight import KEPT_FOR_SMALL_BYTES, SMALL_BYTES, InFlight, Share
from app.errors import Draining, RateLimited
from scripts.local_supabase import LocalSupabase
from tests.support.client import assert_problem, new_conversation, person_client, turn
from tests.support.raw_http import Answer, Line, line
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, running_api, sign_up

MiB = 1_048_576
DOCUMENT_BYTES = 2 * 10 * MiB
"""As long as JSON with the largest document may be."""


def head(path: str, person: Person, *, length: int, method: str = "POST") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: test",
        f"Authorization: Bearer {person.token}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def port_of(api: Api) -> int:
    port = urlsplit(api.url).port
    assert port is not None
    return port


async def told(api: Api, sent: bytes) -> Answer:
    """What is said to an upload of which nothing more comes than this."""
    async with line(port_of(api)) as connection:
        await connection.send(sent)
        return await connection.answer()


# ── before the body ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/documents/6b1f0c0e-0000-4000-8000-000000000009"])
async def test_whoever_has_no_plan_sends_no_document(api: Api, stack: LocalSupabase, path: str) -> None:
    person = await sign_up(stack, plan=None)
    method = "POST" if path == "/v1/documents" else "PUT"
    answer = await told(api, head(path, person, length=DOCUMENT_BYTES, method=method))
    assert (answer.status, answer.json["code"]) == (403, "premium_required")


async def test_whoever_is_at_the_limit_sends_no_document(api: Api, stack: LocalSupabase) -> None:
    plan = f"one-{uuid.uuid4().hex[:12]}"
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        database.execute("insert into private.plans (plan, requests_per_minute) values (%s, 1)", [plan])
    person = await sign_up(stack, plan=plan)
    async with person_client(api, person) as client:
        first = await client.post("/v1/documents", json={"title": "One", "content": uuid.uuid4().hex})
        assert first.status_code == 201
    answer = await told(api, head("/v1/documents", person, length=DOCUMENT_BYTES))
    assert (answer.status, answer.json["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0


async def test_the_rest_of_a_refused_document_may_come(api: Api, stack: LocalSupabase) -> None:
    """Most clients read an answer only when they have sent everything; the connection goes on after that."""
    person = await sign_up(stack, plan=None)
    async with line(port_of(api)) as connection:
        await connection.send(head("/v1/documents", person, length=4 * MiB))
        assert (await connection.answer()).status == 403
        await connection.send(b"a" * 4 * MiB)
        await connection.send(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await connection.answer()).status == 200


# ── at once ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def own(stack: LocalSupabase, tmp_path: Path) -> AsyncGenerator[Api]:
    """A process of the test's own, whose memory and log are looked at."""
    async with running_api(stack, tmp_path / "api.log", EMBEDDING_MODEL="local") as running:
        yield running


@pytest.mark.parametrize(("users", "refusal"), [(1, (429, "rate_limited")), (6, (503, "draining"))])
async def test_unfinished_documents_are_bounded_and_others_are_served(
    own: Api, stack: LocalSupabase, users: int, refusal: tuple[int, str]
) -> None:
    people, another = [await sign_up(stack) for _ in range(users)], await sign_up(stack)
    process = psutil.Process(own.process.pid)
    async with person_client(own, another) as client, AsyncExitStack() as lines:
        await turn(client, await new_conversation(client))
        before = process.memory_info().rss
        connections = [await lines.enter_async_context(line(port_of(own))) for _ in range(30)]

        async def upload(connection: Line, person: Person) -> None:
            await connection.send(head("/v1/documents", person, length=DOCUMENT_BYTES))
            await connection.flood(b"a" * 65_536, most=DOCUMENT_BYTES - MiB)

        uploads = [
            asyncio.create_task(upload(connection, people[number % users]))
            for number, connection in enumerate(connections)
        ]
        refused = [connection.answer() for connection in connections]
        first = await next(asyncio.as_completed(refused))
        assert (first.status, first.json["code"]) == refusal
        # while these hold what they may, others send messages, and documents as long as they are not too large
        await turn(client, await new_conversation(client))
        document = {"title": "Mine", "content": "A text of another user's. " * 20_000}
        assert (await client.post("/v1/documents", json=document)).status_code == 201
        assert process.memory_info().rss - before < 100 * MiB
        for task in uploads:
            task.cancel()
        await asyncio.gather(*uploads, return_exceptions=True)


async def test_a_share_is_given_back(own: Api, stack: LocalSupabase) -> None:
    """By uploads that end, and by those that are cut."""
    person = await sign_up(stack)
    async with person_client(own, person) as client:
        for _ in range(5):
            async with line(port_of(own)) as connection:
                await connection.send(head("/v1/documents", person, length=DOCUMENT_BYTES))
                await connection.send(b"a" * (DOCUMENT_BYTES - MiB))
        for _ in range(5):
            too_large = {"title": "x", "content": "a" * 11 * MiB}
            assert_problem(await client.post("/v1/documents", json=too_large), 413, "payload_too_large")


async def test_an_upload_that_its_sender_cut_is_no_failure_of_ours(own: Api, stack: LocalSupabase) -> None:
    person = await sign_up(stack)
    for path in ("/v1/documents", "/v1/search", "/v1/conversations"):
        async with line(port_of(own)) as connection:
            await connection.send(head(path, person, length=1000) + b'{"title": ')
            await asyncio.sleep(0.3)
    await eventually(lambda: own.log_text.count('"method": "POST"') == 3)
    lines = [json.loads(entry) for entry in own.log_text.splitlines()]
    assert [entry["status"] for entry in lines if entry.get("method") == "POST"] == [400, 400, 400]
    assert not [entry for entry in lines if entry["level"] == "error"]


async def test_whoever_ends_a_body_early_and_reads_on_is_told(api: Api, owner: Person) -> None:
    async with line(port_of(api)) as connection:
        await connection.send(head("/v1/conversations", owner, length=1000) + b"{")
        connection.end()
        answer = await connection.answer()
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")


# ── the account ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_user_has_a_share() -> None:
    account = InFlight(Share(user=100, large=1000))
    one, two = account.body_of("a"), account.body_of("a")
    one.grow(60)
    with pytest.raises(RateLimited):
        two.grow(41)
    two.grow(40)
    account.body_of("b").grow(100)
    one.release()
    two.grow(60)


def test_large_bodies_leave_room_for_small_ones() -> None:
    share = Share(user=10**9, large=3 * SMALL_BYTES)
    account = InFlight(share)
    large = account.body_of("a")
    large.grow(3 * SMALL_BYTES)
    with pytest.raises(Draining):
        large.grow(1)
    small = [account.body_of(f"user {number}") for number in range(KEPT_FOR_SMALL_BYTES // SMALL_BYTES)]
    for body in small:
        body.grow(SMALL_BYTES)
    with pytest.raises(Draining):
        account.body_of("c").grow(1)


def test_everything_is_given_back() -> None:
    account = InFlight(Share(user=100, large=1000))
    bodies = [account.body_of(user) for user in ("a", "b", "a")]
    for body in bodies:
        body.grow(30)
        body.grow(3)
    for body in bodies:
        body.release()
        body.release()
    assert account.bytes == 0
    account.body_of("a").grow(100)
