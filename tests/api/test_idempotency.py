"""Idempotency keys over HTTP: one turn, however often it is sent. With concurrency and crashes: tests/faults."""

from __future__ import annotations

import uuid

import httpx
import pytest

from tests.support.client import EVENT_STREAM, assert_problem, history, new_conversation, reading, script, turn
from tests.support.sse import Transcript
from tests.support.upstream import Upstream


@pytest.fixture
async def conversation(as_owner: httpx.AsyncClient) -> str:
    return await new_conversation(as_owner)


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_repeated_request_attaches_to_the_first_ones_reply(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream, accept: str
) -> None:
    marker, again = uuid.uuid4().hex, key() | {"Accept": accept}
    path, body = f"/v1/conversations/{conversation}/messages", {"content": script(id=marker, tokens=3)}
    first = await as_owner.post(path, json=body, headers=again)
    second = await as_owner.post(path, json=body, headers=again)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert len(await history(as_owner, conversation)) == 2
    assert len(upstream.calls_of(marker)) == 1
    if accept == "text/event-stream":
        transcript = Transcript()
        transcript.feed(second.content)
        assert transcript.text == "tok0 tok1 tok2 "
        assert transcript.ending is not None


async def test_repeated_request_waits_for_the_first_ones_reply(as_owner: httpx.AsyncClient, conversation: str) -> None:
    path, headers = f"/v1/conversations/{conversation}/messages", key()
    body = {"content": script(tokens=10, gap=0.02)}
    first = await as_owner.post(path, json=body, headers=headers)
    second = await as_owner.post(path, json=body, headers=headers | {"Prefer": "wait"})
    assert second.status_code == 200
    assert second.json()["id"] == first.json()["message"]["id"]
    assert (second.json()["status"], len(second.json()["content"].split())) == ("complete", 10)


async def test_repeated_request_follows_the_reply_that_is_being_written(
    as_owner: httpx.AsyncClient, conversation: str
) -> None:
    path, headers = f"/v1/conversations/{conversation}/messages", key()
    body = {"content": script(tokens=15, gap=0.02)}
    async with (
        reading(as_owner, "POST", path, json=body, headers=headers) as first,
        reading(as_owner, "POST", path, json=body, headers=headers) as second,
    ):
        one, two = await first.to_end(), await second.to_end()
    assert one.text == two.text
    assert (one.events[0], one.events[-1]) == (two.events[0], two.events[-1])


@pytest.mark.parametrize("changed", [{"content": "Other"}, {"model": "scripted-1"}, {"max_tokens": 5}])
async def test_key_of_another_request(
    as_owner: httpx.AsyncClient, conversation: str, changed: dict[str, object]
) -> None:
    path, headers = f"/v1/conversations/{conversation}/messages", key()
    assert (await as_owner.post(path, json={"content": "One"}, headers=headers)).status_code == 202
    refused = await as_owner.post(path, json={"content": "One", **changed}, headers=headers)
    assert_problem(refused, 422, "idempotency_mismatch")
    assert len(await history(as_owner, conversation)) == 2


async def test_key_of_another_conversation(as_owner: httpx.AsyncClient, conversation: str) -> None:
    headers, other = key(), await new_conversation(as_owner)
    assert (
        await as_owner.post(f"/v1/conversations/{other}/messages", json={"content": "One"}, headers=headers)
    ).status_code == 202
    refused = await as_owner.post(
        f"/v1/conversations/{conversation}/messages", json={"content": "One"}, headers=headers
    )
    assert_problem(refused, 422, "idempotency_mismatch")


async def test_keys_are_each_users_own(
    as_owner: httpx.AsyncClient, as_stranger: httpx.AsyncClient, conversation: str
) -> None:
    headers, theirs = key(), await new_conversation(as_stranger)
    mine = await as_owner.post(f"/v1/conversations/{conversation}/messages", json={"content": "A"}, headers=headers)
    other = await as_stranger.post(f"/v1/conversations/{theirs}/messages", json={"content": "A"}, headers=headers)
    assert (mine.status_code, other.status_code) == (202, 202)
    assert "idempotency-replayed" not in other.headers


async def test_refused_request_leaves_its_key_free(as_owner: httpx.AsyncClient, conversation: str) -> None:
    path, headers = f"/v1/conversations/{conversation}/messages", key()
    refused = await as_owner.post(path, json={"content": "Hi", "model": "none"}, headers=headers)
    assert_problem(refused, 422, "invalid_request")
    assert (await as_owner.post(path, json={"content": "Hi"}, headers=headers)).status_code == 202


async def test_without_a_key_nothing_is_a_repetition(as_owner: httpx.AsyncClient, conversation: str) -> None:
    for _ in range(2):
        await turn(as_owner, conversation, "The same")
    assert len(await history(as_owner, conversation)) == 4


async def test_regenerating_once(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply, headers = await turn(as_owner, conversation), key()
    for _ in range(2):
        again = await as_owner.post(f"/v1/messages/{reply['id']}/regenerate", headers=headers | EVENT_STREAM)
        assert again.status_code == 200
    [_, shown] = await history(as_owner, conversation)
    assert (shown["version"], shown["siblings"]["count"]) == (2, 2)


@pytest.mark.parametrize("value", [b"", b"x" * 256, "é".encode(), b"a\tb", "\u2028".encode()])
async def test_key_that_is_none(as_owner: httpx.AsyncClient, conversation: str, value: bytes) -> None:
    refused = await as_owner.post(
        f"/v1/conversations/{conversation}/messages", json={"content": "Hi"}, headers={"Idempotency-Key": value}
    )
    detail = assert_problem(refused, 422, "invalid_request")["detail"]
    assert detail.startswith("Idempotency-Key: expected text of 1 to 255 characters")
    assert await history(as_owner, conversation) == []


@pytest.mark.parametrize("value", ["x", "x" * 255, '"quoted"', "a b", "~!@#$%^&*()"])
async def test_key_that_is_one(as_owner: httpx.AsyncClient, conversation: str, value: str) -> None:
    response = await as_owner.post(
        f"/v1/conversations/{conversation}/messages",
        json={"content": "Hi"},
        headers={"Idempotency-Key": value},
    )
    assert response.status_code == 202
