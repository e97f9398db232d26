"""Broadcasts sent over HTTP: a batch, and one whose topic and event are in the path."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import Connect
from tests.realtime.people import Someone, Tokens
from tests.support.sockets import V1

BATCH = "/realtime/v1/api/broadcast"


@pytest.fixture(scope="session")
async def http(stack: LocalSupabase) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.url, headers={"apikey": stack.publishable_key}) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def message(topic: str, event: str = "e", **more: Any) -> dict[str, Any]:
    return {"topic": topic, "event": event, "payload": {"a": 1}, **more}


async def test_a_batch(connect: Connect, http: httpx.AsyncClient) -> None:
    async with connect() as socket, connect(V1) as old:
        await socket.join("room")
        await old.join("room")
        messages = [message("room", "first"), message("elsewhere"), message("room", "second", private=False)]
        answer = await http.post(BATCH, json={"messages": messages})
        assert (answer.status_code, answer.content) == (202, b"")
        assert {"x-rate-rolling", "x-rate-limit", "x-rate-limit-remaining"} <= set(answer.headers)
        for receiver in (socket, old):
            first, second = await receiver.next(), await receiver.next()
            assert first.payload == {"type": "broadcast", "event": "first", "payload": {"a": 1}}
            assert second.payload["event"] == "second"


async def test_one_by_its_path(connect: Connect, http: httpx.AsyncClient) -> None:
    async with connect() as socket:
        await socket.join("a room/é?")
        answer = await http.post(f"{BATCH}/a%20room%2F%C3%A9%3F/events/e%2F1", json={"b": [2]})
        assert (answer.status_code, answer.content) == (202, b"")
        assert (await socket.next()).payload == {"type": "broadcast", "event": "e/1", "payload": {"b": [2]}}
        octets = {"Content-Type": "application/octet-stream"}
        answer = await http.post(f"{BATCH}/a%20room%2F%C3%A9%3F/events/e", content=b"\x00\xff", headers=octets)
        assert answer.status_code == 202
        assert (await socket.next()).sent == b"\x00\xff"


async def test_who_may_send(stack: LocalSupabase, http: httpx.AsyncClient, owner: Someone, tokens: Tokens) -> None:
    good: list[dict[str, str]] = [
        {},
        bearer(stack.publishable_key),
        bearer(stack.secret_key),
        bearer(owner.token),
        {"apikey": "", **bearer(owner.token)},
    ]
    bad = [{"apikey": ""}, {"apikey": "wrong"}, bearer("nonsense"), bearer(tokens.of(owner.id, seconds=-1))]
    for url, body in ((BATCH, {"messages": [message("room")]}), (f"{BATCH}/room/events/e", {})):
        for headers in good:
            assert (await http.post(url, json=body, headers=headers)).status_code == 202
        for headers in bad:
            refused = await http.post(url, json=body, headers=headers)
            assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})


async def test_private_messages_need_permission(
    stack: LocalSupabase, connect: Connect, http: httpx.AsyncClient, open_topics: None, owner: Someone
) -> None:
    """In a batch those that may not be sent are dropped, and the answer is 202 all the same: as the real server."""
    async with connect() as socket:
        for topic in ("test:open", "test:read"):
            await socket.join(topic, private=True, token=owner.token)
        batch = {"messages": [message(topic, private=True) for topic in ("test:read", "test:open")]}
        assert (await http.post(BATCH, json=batch, headers=bearer(owner.token))).status_code == 202
        assert (await socket.next()).topic == "realtime:test:open"
        url = f"{BATCH}/test:read/events/e?private=true"
        for headers in ({}, bearer(owner.token)):
            refused = await http.post(url, json={}, headers=headers)
            assert (refused.status_code, refused.json()) == (403, {"message": "Unauthorized"})
        # the secret key is above the policies
        assert (await http.post(url, json={}, headers=bearer(stack.secret_key))).status_code == 202
        assert (await socket.next()).topic == "realtime:test:read"
        assert socket.unread("broadcast") == []


async def test_parleys_topics_take_nothing_from_users(
    connect: Connect, http: httpx.AsyncClient, owner: Someone, conversation: str
) -> None:
    topic = f"conversation:{conversation}"
    async with connect() as socket:
        await socket.join(topic, private=True, token=owner.token)
        refused = await http.post(
            f"{BATCH}/{topic}/events/message.delta?private=true", json={}, headers=bearer(owner.token)
        )
        assert refused.status_code == 403
        # the public topic of that name is another
        await http.post(
            BATCH, json={"messages": [message(topic), message(topic, private=True)]}, headers=bearer(owner.token)
        )
        await socket.reply(await socket.push("phoenix", "heartbeat", {}))
        assert socket.unread("broadcast") == []


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"messages": ["can't be blank"]}),
        ({"messages": []}, {"messages": ["can't be blank"]}),
        ({"messages": {"topic": "room"}}, {"messages": ["is invalid"]}),
        ([], {"messages": ["can't be blank"]}),
        (
            {"messages": [message("room"), {}]},
            {"messages": [{}, {name: ["can't be blank"] for name in ("topic", "event", "payload")}]},
        ),
        ({"messages": [message("room", payload=[1])]}, {"messages": [{"payload": ["is invalid"]}]}),
        ({"messages": [message(7)]}, {"messages": [{"topic": ["is invalid"]}]}),  # type: ignore[arg-type]
    ],
)
async def test_batches_that_are_none(http: httpx.AsyncClient, body: object, errors: object) -> None:
    answer = await http.post(BATCH, json=body)
    assert (answer.status_code, answer.json()) == (422, {"errors": errors})


async def test_bodies_that_are_none(http: httpx.AsyncClient) -> None:
    single = f"{BATCH}/room/events/e"
    assert (await http.post(BATCH, content=b"{")).status_code == 400
    json_type = {"Content-Type": "application/json"}
    assert (await http.post(single, content=b"{", headers=json_type)).status_code == 400
    assert (await http.post(single, content=b"a=1", headers={"Content-Type": "text/plain"})).status_code == 415


async def test_too_large(http: httpx.AsyncClient) -> None:
    large = {"text": "x" * 3_000_600}
    answer = await http.post(BATCH, json={"messages": [message("room", payload=large)]})
    errors = {"payload": ["Payload size exceeds tenant limit"]}
    assert (answer.status_code, answer.json()) == (422, {"errors": {"messages": [errors]}})
    answer = await http.post(f"{BATCH}/room/events/e", json=large)
    assert (answer.status_code, answer.json()) == (422, {"errors": errors})


async def test_browsers_may_send(http: httpx.AsyncClient) -> None:
    asking = {"Origin": "http://127.0.0.1:5173", "Access-Control-Request-Method": "POST"}
    allowed = await http.options(BATCH, headers=asking)
    assert allowed.headers["access-control-allow-origin"] == "*"
    answer = await http.post(BATCH, json={"messages": [message("room")]}, headers={"Origin": asking["Origin"]})
    assert answer.headers["access-control-allow-origin"] == "*"
