"""One Idempotency-Key, one turn: whatever is sent twice, when and where."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.replica_client import Client, content, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api, running_api
from tests.support.upstream import Upstream


def script(**more: object) -> dict[str, object]:
    return {"id": uuid.uuid4().hex, "tokens": 20, "gap": 0.02} | more


@pytest.mark.parametrize("spread", [1, 2], ids=["one replica", "two replicas"])
async def test_twenty_parallel_sends_begin_one_turn(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows, spread: int
) -> None:
    conversation = await client.new_conversation(replicas[0])
    asked, key = script(), uuid.uuid4().hex

    async def send(api: Api) -> tuple[str, str | None, bool]:
        async with client.sending(api, conversation, asked, Idempotency_Key=key) as response:
            transcript = await read(response)
            assert transcript.ending is not None
            assert transcript.ending.name == "done"
            return transcript.text, transcript.message_id, "Idempotency-Replayed" in response.headers

    answers = await asyncio.gather(*(send(replicas[i % spread]) for i in range(20)))

    (user_message,) = rows.of(client.person.id, "user")
    (reply,) = rows.of(client.person.id, "assistant")
    (call,) = upstream.calls_of(str(asked["id"]))
    assert reply["content"] == call.text
    assert reply["status"] == "complete"
    assert {text for text, _, _ in answers} == {call.text}
    assert {message_id for _, message_id, _ in answers} == {str(reply["id"])}
    assert sum(replayed for _, _, replayed in answers) == 19
    assert reply["parent_id"] == user_message["id"]


async def test_a_key_with_another_body_is_refused(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    other_conversation = await client.new_conversation(replicas[0])
    key, asked = uuid.uuid4().hex, script()
    first = await client.post(replicas[0], conversation, asked, Idempotency_Key=key)

    async def refused(path: str, body: object) -> None:
        status, problem, _ = await client.call(replicas[1], "POST", path, body, Idempotency_Key=key)
        assert (status, problem["code"]) == (422, "idempotency_mismatch")

    same = {"content": content(asked)}
    await refused(f"/v1/conversations/{conversation}/messages", {"content": "something else"})
    await refused(f"/v1/conversations/{conversation}/messages", same | {"max_tokens": 5})
    await refused(f"/v1/conversations/{other_conversation}/messages", same)
    await refused(f"/v1/messages/{first['message']['id']}/regenerate", {})
    assert len(rows.of(client.person.id)) == 2
    await eventually(lambda: rows.streaming(client.person.id) == 0)
    assert len(upstream.calls_of(str(asked["id"]))) == 1


async def test_a_running_reply_is_attached_to_and_a_finished_one_replayed(
    replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    writer, other = replicas
    conversation = await client.new_conversation(writer)
    key, asked = uuid.uuid4().hex, script(tokens=30, gap=0.03)
    async with client.sending(writer, conversation, asked, Idempotency_Key=key) as response:
        assert "Idempotency-Replayed" not in response.headers
        first = await read(response, until=tokens(3))
    stored = rows.message(first.message_id)
    assert stored["status"] == "streaming"

    async def again(api: Api) -> str:
        async with client.sending(api, conversation, asked, Idempotency_Key=key) as response:
            assert response.headers["Idempotency-Replayed"] == "true"
            assert response.headers["Location"] == f"/v1/messages/{first.message_id}"
            return (await read(response)).text

    running = await asyncio.gather(again(writer), again(other))
    finished = await asyncio.gather(again(writer), again(other))
    text = rows.message(first.message_id)["content"]
    assert [*running, *finished] == [text] * 4

    status, body, headers = await client.call(
        other,
        "POST",
        f"/v1/conversations/{conversation}/messages",
        {"content": content(asked)},
        Idempotency_Key=key,
        Prefer="wait",
    )
    assert (status, body["content"], headers["idempotency-replayed"]) == (200, text, "true")
    accepted = await client.post(other, conversation, asked, Idempotency_Key=key)
    assert accepted["message"]["id"] == first.message_id
    assert accepted["message"]["status"] == "complete"


async def test_a_regeneration_is_repeated_as_a_message_is(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    asked = script(tokens=5)
    first = await client.send(replicas[0], conversation, asked)
    key = uuid.uuid4().hex

    async def regenerate(api: Api) -> str | None:
        async with client.regenerating(api, str(first.message_id), Idempotency_Key=key) as response:
            return (await read(response)).message_id

    answers = await asyncio.gather(*(regenerate(replicas[i % 2]) for i in range(6)))
    assert len(set(answers)) == 1
    assert [row["version"] for row in rows.of(client.person.id, "assistant")] == [1, 2]
    assert len(upstream.calls_of(str(asked["id"]))) == 2


async def test_keys_are_each_users_own(replicas: tuple[Api, Api], client: Client, stranger: Client, rows: Rows) -> None:
    key = uuid.uuid4().hex
    texts = []
    for index, person in enumerate((client, stranger)):
        conversation = await person.new_conversation(replicas[0])
        asked = script(tokens=3, token=f"of-person-{index} ")
        texts.append((await person.send(replicas[0], conversation, asked, Idempotency_Key=key)).text)
    assert texts == ["of-person-0 " * 3, "of-person-1 " * 3]
    assert len(rows.of(client.person.id)) == len(rows.of(stranger.person.id)) == 2


async def test_a_key_of_an_unanswerable_message_may_be_used_again(replicas: tuple[Api, Api], client: Client) -> None:
    """A refusal leaves nothing behind, so the same key then stands for the corrected request."""
    key = uuid.uuid4().hex
    status, _, _ = await client.call(
        replicas[0],
        "POST",
        f"/v1/conversations/{uuid.uuid4()}/messages",
        {"content": "hello"},
        Idempotency_Key=key,
    )
    assert status == 404
    conversation = await client.new_conversation(replicas[0])
    assert (await client.send(replicas[0], conversation, "hello", Idempotency_Key=key)).text.startswith("tok0 ")


async def test_a_known_key_is_answered_while_no_provider_can_answer(
    replicas: tuple[Api, Api], client: Client, rows: Rows, stack: LocalSupabase, tmp_path: Path
) -> None:
    conversation = await client.new_conversation(replicas[0])
    key, asked = uuid.uuid4().hex, script()
    first = await client.post(replicas[0], conversation, asked, Idempotency_Key=key)
    await eventually(lambda: rows.streaming(client.person.id) == 0)
    path = f"/v1/conversations/{conversation}/messages"
    async with running_api(stack, tmp_path / "api.log", OLLAMA_BASE_URL="http://127.0.0.1:9") as nobody_answers:
        again = await client.post(nobody_answers, conversation, asked, Idempotency_Key=key)
        status, problem, _ = await client.call(
            nobody_answers, "POST", path, {"content": "another"}, Idempotency_Key=uuid.uuid4().hex
        )

    assert again["message"]["id"] == first["message"]["id"]
    assert again["message"]["status"] == "complete"
    assert (status, problem["code"]) == (503, "provider_unavailable")
    assert len(rows.of(client.person.id)) == 2
