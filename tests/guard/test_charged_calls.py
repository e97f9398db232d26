"""Every call that a provider was made is charged, however its turn ends, with what was really sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection, one
from tests.support.client import new_conversation, person_client, reading, script, send, turn
from tests.support.documents import put_in
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, running_api
from tests.support.upstream import MODEL, Call, Upstream


@pytest.fixture
async def conversation(client: httpx.AsyncClient) -> str:
    return await new_conversation(client)


@pytest.fixture
async def alone_api(
    stack: LocalSupabase, kept_settings: None, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """A process of its own, as its circuit breaker learns of the calls that fail."""
    settings = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": upstream.url, "OPENAI_MODEL": MODEL}
    log = tmp_path_factory.mktemp("alone") / "api.log"
    async with running_api(stack, log, EMBEDDING_MODEL="local", **settings) as api:
        yield api


@pytest.fixture
async def alone(alone_api: Api, person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(alone_api, person) as opened:
        yield opened


def ledger(db: Connection, person: Person) -> list[tuple[Any, ...]]:
    return db.execute(
        "select provider, model, sum(prompt_tokens)::int, sum(completion_tokens)::int from private.usage_ledger "
        "where user_id = %s group by 1, 2 order by 1, 2",
        [person.id],
    ).fetchall()


async def settled(db: Connection, person: Person) -> None:
    """Wait until nothing of theirs is held any more."""
    held = "select count(*) from private.reservations where user_id = %s"
    await eventually(lambda: one(db, held, [person.id]) == 0)


def sent(call: Call) -> int:
    """About how many tokens a provider was sent."""
    return sum(-(-len(message["content"].encode()) // 4) for message in call.body["messages"])


async def begin(client: httpx.AsyncClient, conversation: str, content: str) -> str:
    """Send without waiting for the reply; its id."""
    begun = await client.post(f"/v1/conversations/{conversation}/messages", json={"content": content})
    assert begun.status_code == 202, begun.text
    return str(begun.json()["message"]["id"])


async def test_deleting_before_the_first_token(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream, owned: Connection, person: Person
) -> None:
    """It stops the call at once, and is charged with all that it was sent."""
    await begin(client, conversation, script(id="deleted early", first=20, padding="x" * 4000))
    call = await upstream.call("deleted early")
    assert (await client.delete(f"/v1/conversations/{conversation}")).status_code == 204
    await settled(owned, person)
    assert ledger(owned, person) == [("openai", MODEL, sent(call), 0)]
    assert sent(call) > 1000
    await eventually(lambda: call.cancelled)


@pytest.mark.parametrize("way", ["api", "table"])
async def test_deleting_stops_the_call(
    client: httpx.AsyncClient,
    conversation: str,
    stack: LocalSupabase,
    upstream: Upstream,
    owned: Connection,
    person: Person,
    way: str,
) -> None:
    """Through the Data API too, which tells no process: the journal finds out."""
    marker = f"deleted by {way}"
    await begin(client, conversation, script(id=marker, first=20))
    call = await upstream.call(marker)
    if way == "api":
        await client.delete(f"/v1/conversations/{conversation}")
    else:
        headers = {"apikey": stack.publishable_key, **person.headers}
        async with httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers=headers) as http:
            assert (await http.delete("/conversations", params={"id": f"eq.{conversation}"})).status_code == 204
    await settled(owned, person)
    await eventually(lambda: call.cancelled)
    assert ledger(owned, person) == [("openai", MODEL, sent(call), 0)]


async def test_call_that_broke_and_the_one_after_it(
    alone: httpx.AsyncClient, upstream: Upstream, owned: Connection, person: Person
) -> None:
    """Both were sent."""
    transcript = await send(alone, await new_conversation(alone), script(id="broken", break_after=0))
    assert transcript.ending is not None
    assert transcript.ending.name == "error"
    calls = upstream.calls_of("broken")
    assert len(calls) >= 2
    assert ledger(owned, person) == [("openai", MODEL, sum(map(sent, calls)), 0)]


async def test_refused_calls_are_free(alone: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    await send(alone, await new_conversation(alone), script(status=500))
    await send(alone, await new_conversation(alone), script(status=400))
    assert ledger(owned, person) == []


async def test_call_that_breaks_inside_its_reply(
    alone: httpx.AsyncClient, upstream: Upstream, owned: Connection, person: Person
) -> None:
    await send(alone, await new_conversation(alone), script(id="torn", tokens=20, break_after=10, token="word{:04d}"))
    [call] = upstream.calls_of("torn")
    # eight bytes a token
    assert ledger(owned, person) == [("openai", MODEL, sent(call), 20)]


async def test_history_that_was_sent_is_charged_when_a_turn_is_stopped(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream, owned: Connection, person: Person
) -> None:
    await turn(client, conversation, "x" * 4000)
    before = ledger(owned, person)[0][2]
    reply = await begin(client, conversation, script(id="charged when stopped", first=20))
    call = await upstream.call("charged when stopped")
    await client.post(f"/v1/messages/{reply}/stop")
    await settled(owned, person)
    assert sent(call) > 1000
    assert ledger(owned, person)[0][2] - before == sent(call)


async def test_passages_that_were_sent_are_charged_when_a_turn_is_stopped(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream, owned: Connection, person: Person
) -> None:
    await put_in(client, " ".join(f"stopwatch fact number {index}" for index in range(200)))
    body = {"content": script(id="searched", first=20, about="stopwatch fact number"), "use_rag": True}
    async with reading(client, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        await reader.until("sources")
        call = await upstream.call("searched")
        await client.post(f"/v1/messages/{reader.transcript.events[0].data['message_id']}/stop")
        await reader.to_end()
    await settled(owned, person)
    assert "stopwatch fact" in call.body["messages"][-1]["content"]
    assert sent(call) > 500
    assert ledger(owned, person) == [("openai", MODEL, sent(call), 0)]


async def killed(
    upstream: Upstream, api: Api, owned: Connection, person: Person, body: dict[str, Any], at: int
) -> Call:
    """Kill the process once its provider has sent `at` tokens and the journal knows; wait for recovery."""
    async with person_client(api, person) as client:
        conversation = await new_conversation(client)
        reply = await begin(client, conversation, script(**body))
        call = await upstream.call(body["id"])
        await eventually(lambda: call.sent >= at)
        known = (
            "select count(*) from private.reservations where reply_id = %s and calls -> 0 ->> 'completion_tokens' > '0'"
        )
        await eventually(lambda: at == 0 or one(owned, known, [reply]) == 1)
    await lose(api, owned, reply)
    await settled(owned, person)
    return call


async def lose(api: Api, owned: Connection, reply: str) -> None:
    """Kill its process, and let its lease run out."""
    api.kill()
    owned.execute(
        "update private.live_replies set lease_expires_at = now() - interval '1 s' where message_id = %s", [reply]
    )


@pytest.mark.parametrize("tokens", [0, 5], ids=["before the first token", "inside the reply"])
async def test_process_that_is_killed(
    alone_api: Api, upstream: Upstream, owned: Connection, person: Person, tokens: int
) -> None:
    behaviour = {"id": f"killed at {tokens}", "tokens": 500, "gap": 0.05, "padding": "x" * 400}
    if not tokens:
        behaviour["first"] = 30
    call = await killed(upstream, alone_api, owned, person, behaviour, tokens)
    [(provider, model, prompt, completion)] = ledger(owned, person)
    assert (provider, model, prompt) == ("openai", MODEL, sent(call))
    assert (completion > 0) == (tokens > 0)


async def test_process_that_is_killed_after_a_refusal(
    alone_api: Api, upstream: Upstream, owned: Connection, person: Person
) -> None:
    """Nothing is charged while the reply waits to be asked for again."""
    async with person_client(alone_api, person) as client:
        body = script(id="refused, then killed", status=429, retry_after=15)
        reply = await begin(client, await new_conversation(client), body)
    told = "select count(*) from private.reservations where reply_id = %s and calls = '[]'"
    await eventually(lambda: one(owned, told, [reply]) == 1)
    await lose(alone_api, owned, reply)
    await settled(owned, person)
    assert len(upstream.calls_of("refused, then killed")) == 1
    assert ledger(owned, person) == []


async def test_turn_that_nobody_took_up_is_free(
    stack: LocalSupabase, replicas: tuple[Api, Api], owned: Connection, person: Person, client: httpx.AsyncClient
) -> None:
    """A client began it through the Data API, where no provider is called."""
    conversation = await new_conversation(client)
    headers = {"apikey": stack.publishable_key, **person.headers}
    async with httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers=headers) as http:
        arguments = {"p_writer": person.id, "p_conversation_id": conversation, "p_content": "Hello"}
        assert (await http.post("/rpc/begin_turn", json=arguments)).status_code == 200
    owned.execute(
        "update private.live_replies set lease_expires_at = now() - interval '1 s' where user_id = %s", [person.id]
    )
    await settled(owned, person)
    assert ledger(owned, person) == []
