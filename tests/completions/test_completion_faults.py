"""What goes wrong while a completion is written: told truthfully to its reader, and charged exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import openai
import pytest

from scripts.local_supabase import LocalSupabase
from tests.completions.conftest import CHAT, chat, events, openai_client, refused, says
from tests.support import upstream as scripted
from tests.support.callers import SERVICE, Connection, acting, one, rpc
from tests.support.client import person_client
from tests.support.gateway import Answer, Gateway
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, running_api
from tests.support.upstream import MODEL, Call, Upstream


@pytest.fixture
async def broken() -> AsyncGenerator[Upstream]:
    """A provider of this test's own: its failures open nobody else's breaker."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def frail(
    stack: LocalSupabase, broken: Upstream, kept_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API on it."""
    settings = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": broken.url, "OPENAI_MODEL": MODEL, "EMBEDDING_MODEL": "local"}
    async with running_api(stack, tmp_path_factory.mktemp("frail") / "api.log", **settings) as running:
        yield running


def ledger(db: Connection, person: Person) -> list[tuple[Any, ...]]:
    return db.execute(
        "select prompt_tokens, completion_tokens from private.usage_ledger where user_id = %s", [person.id]
    ).fetchall()


def held(db: Connection, person: Person) -> int:
    count: int = one(db, "select count(*) from private.reservations where user_id = %s", [person.id])
    return count


class Reading:
    """A streamed completion that is read as it comes."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.text = ""
        self._chunks = response.aiter_text()

    async def until(self, words: str) -> None:
        while words not in self.text:
            self.text += await anext(self._chunks)

    async def to_end(self) -> list[Any]:
        async for chunk in self._chunks:
            self.text += chunk
        return events(self.text)


@asynccontextmanager
async def streaming(
    wire: httpx.AsyncClient, provider: Upstream, marker: str, *, first: int, tokens: int = 50
) -> AsyncGenerator[tuple[Reading, Call]]:
    """A streamed completion, and the call of the provider, which has sent the `first` tokens."""

    async def begin() -> Call:
        call = await provider.call(marker)
        call.step(first)
        return call

    stepping = asyncio.create_task(begin())
    body = chat(stream=True, messages=says(id=marker, stepped=True, tokens=tokens))
    async with wire.stream("POST", CHAT, json=body) as response:
        reading = Reading(response)
        await reading.until(f"tok{first - 1} ")
        yield reading, await stepping


# ── the provider ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True])
async def test_provider_that_fails_before_its_first_token_is_503_before_the_stream(
    frail: Api, person: Person, owned: Connection, broken: Upstream, stream: bool
) -> None:
    broken.script = {"status": 500}
    async with person_client(frail, person) as wire:
        response = await wire.post(CHAT, json=chat(stream=stream))
    error = refused(response, 503, "provider_unavailable")
    assert error["type"] == "server_error"
    assert int(response.headers["retry-after"]) >= 1
    assert len(broken.calls) > 1  # it was tried again
    assert (ledger(owned, person), held(owned, person)) == ([], 0)


async def test_break_after_the_first_token_is_an_error_in_the_stream(
    frail: Api, person: Person, owned: Connection, broken: Upstream
) -> None:
    async with person_client(frail, person) as wire:
        response = await wire.post(CHAT, json=chat(stream=True, messages=says(tokens=9, gap=0.02, break_after=3)))
    *said, error, done = events(response.text)
    assert done == "[DONE]"
    assert error == {
        "error": {
            "message": "The provider failed inside the reply.",
            "type": "server_error",
            "param": None,
            "code": "provider_unavailable",
        }
    }
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in said)
    assert text == "tok0 tok1 tok2 "
    assert {chunk["choices"][0]["finish_reason"] for chunk in said} == {None}
    assert len(broken.calls) == 1  # no other text is glued to it
    [(prompt, completion)] = ledger(owned, person)
    assert prompt > 0
    assert completion == -(-len(text) // 4)
    assert held(owned, person) == 0


async def test_openai_client_raises_for_an_error_in_the_stream(frail: Api, person: Person) -> None:
    async with openai_client(frail, person.token) as client:
        stream = await client.chat.completions.create(
            **chat(messages=says(tokens=9, gap=0.02, break_after=3)), stream=True
        )
        with pytest.raises(openai.APIError) as failure:
            async for _ in stream:
                pass
    assert failure.value.code == "provider_unavailable"


async def test_whole_completion_that_breaks_is_503(frail: Api, person: Person, owned: Connection) -> None:
    async with person_client(frail, person) as wire:
        response = await wire.post(CHAT, json=chat(messages=says(tokens=9, gap=0.02, break_after=3)))
    refused(response, 503, "provider_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert len(ledger(owned, person)) == 1


# ── the reader ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_reader_that_goes_ends_the_call_and_pays_for_what_came(
    wire: httpx.AsyncClient, owned: Connection, person: Person, provider: Upstream
) -> None:
    async with streaming(wire, provider, "gone", first=3) as (_, call):
        assert not call.cancelled
    await eventually(lambda: call.cancelled)
    await eventually(lambda: held(owned, person) == 0)
    [(_, completion)] = ledger(owned, person)
    assert completion == -(-len("tok0 tok1 tok2 ") // 4)


async def test_client_that_gives_up_waiting_ends_the_call(
    wire: httpx.AsyncClient, owned: Connection, person: Person, provider: Upstream
) -> None:
    asking = asyncio.create_task(wire.post(CHAT, json=chat(messages=says(id="given-up", stepped=True, tokens=50))))
    call = await provider.call("given-up")
    asking.cancel()
    await eventually(lambda: call.cancelled)
    await eventually(lambda: len(ledger(owned, person)) == 1 and held(owned, person) == 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(messages=says(id="gone-before"))),
        (CHAT, chat(messages=says(id="gone-before"), stream=True)),
        ("/openai/v1/embeddings", {"model": "auto", "input": ["gone-before"] * 100}),
    ],
)
async def test_client_that_goes_before_the_provider_is_asked_pays_nothing(
    service: Api, person: Person, owned: Connection, provider: Upstream, path: str, body: dict[str, Any]
) -> None:
    with owned.transaction():  # the admission waits for this lock
        owned.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [person.id])
        async with person_client(service, person) as wire:
            asking = asyncio.create_task(wire.post(path, json=body))
            await eventually(lambda: one(owned, "select count(*) from pg_locks where not granted") == 1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        async with httpx.AsyncClient(base_url=service.url) as later:
            # the service has seen the end of the other connection when it answers this one
            await later.get("/health/live")
    held_now = "select coalesce(sum(cost_micro_usd), 0) from private.reservations where user_id = %s"
    meter = "select count(*) from private.meters where user_id = %s"
    await eventually(lambda: one(owned, meter, [person.id]) == 1 and one(owned, held_now, [person.id]) == 0)
    assert provider.calls_of("gone-before") == []
    assert "gone-before" not in provider.embedded
    assert ledger(owned, person) == []


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_killed_process_is_charged_by_what_was_known(
    frail: Api, person: Person, owned: Connection, broken: Upstream
) -> None:
    known = "select count(*) from private.reservations where user_id = %s and calls -> 0 ->> 'completion_tokens' = '4'"
    async with (
        person_client(frail, person) as wire,
        streaming(wire, broken, "killed", first=3) as (reading, _),
    ):
        await eventually(lambda: one(owned, known, [person.id]) == 1)
        frail.kill()
        with pytest.raises(httpx.RemoteProtocolError):  # no end that looks like one
            await reading.to_end()
    assert (ledger(owned, person), held(owned, person)) == ([], 1)
    for _ in range(2):  # by any replica, and once
        owned.execute("update private.reservations set expires_at = now() - interval '1 s' where user_id = %s",
                      [person.id])  # fmt: skip
        with owned.transaction(), acting(owned, SERVICE):
            rpc(owned, "recover_replies")
    [(prompt, completion)] = ledger(owned, person)
    assert prompt > 0
    assert completion == 4
    assert held(owned, person) == 0


async def test_killed_process_is_not_charged_by_a_refusal(
    frail: Api, person: Person, owned: Connection, broken: Upstream
) -> None:
    """Nothing is charged while the completion waits to be asked for again."""
    told = "select count(*) from private.reservations where user_id = %s and calls = '[]'"
    async with person_client(frail, person) as wire:
        asked = asyncio.create_task(wire.post(CHAT, json=chat(messages=says(id="refused", status=429, retry_after=15))))
        await broken.call("refused")
        await eventually(lambda: one(owned, told, [person.id]) == 1)
        frail.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            await asked
    owned.execute("update private.reservations set expires_at = now() - interval '1 s' where user_id = %s", [person.id])
    with owned.transaction(), acting(owned, SERVICE):
        rpc(owned, "recover_replies")
    assert (ledger(owned, person), held(owned, person)) == ([], 0)
    assert len(broken.calls_of("refused")) == 1


async def test_drained_process_lets_completions_end_and_tells_of_those_that_do_not(
    frail: Api, person: Person, owned: Connection, broken: Upstream
) -> None:
    async with (
        person_client(frail, person) as wire,
        streaming(wire, broken, "ends", first=1, tokens=2) as (short, ends),
        streaming(wire, broken, "goes-on", first=1) as (long, _),
    ):
        frail.terminate()
        await eventually(lambda: "service.draining" in frail.log_text)
        response = await wire.post(CHAT, json=chat())
        refused(response, 503, "draining")
        assert response.headers["retry-after"] == "1"
        ends.step(1)
        said = await short.to_end()
        assert said[-2]["choices"][0]["finish_reason"] == "stop"
        *_, error, done = await long.to_end()
        assert (error["error"]["code"], done) == ("interrupted", "[DONE]")
    assert await frail.ended(10) == 0
    assert len(ledger(owned, person)) == 2
    assert held(owned, person) == 0


# ── the database ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_outage_of_the_database_is_survived_and_charged_once(
    stack: LocalSupabase,
    owned: Connection,
    person: Person,
    provider: Upstream,
    kept_settings: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = {
        "OPENAI_API_KEY": "x",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
    }
    async with (
        Gateway(stack.url) as project,
        running_api(stack, tmp_path_factory.mktemp("outage") / "api.log", SUPABASE_URL=project.url, **settings) as api,
        person_client(api, Person(person.id, person.email, token_of(stack, project, person))) as wire,
    ):
        async with streaming(wire, provider, "outage", first=1, tokens=2) as (reading, call):
            project.paths["/rest/v1/rpc/"] = Answer(503, "upstream connect error")
            call.step(1)
            said = await reading.to_end()
            assert said[-2]["choices"][0]["finish_reason"] == "stop"  # its reader does not wait for the database
        assert ledger(owned, person) == []
        project.paths.clear()
        await eventually(lambda: ledger(owned, person) == [(7, 2)])
        assert held(owned, person) == 0


def token_of(stack: LocalSupabase, project: Gateway, person: Person) -> str:
    """A token of that user, whose issuer is the gateway."""
    claims = jwt.decode(person.token, options={"verify_signature": False}) | {"iss": f"{project.url}/auth/v1"}
    key = stack.signing_key
    return jwt.encode(claims, jwt.PyJWK(key).key, "ES256", headers={"kid": key["kid"]})
