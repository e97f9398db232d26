"""However a reply ends, its readers are told the same: those who saw it end, on this replica and on another, those who
come later, to either, and those who ask for the message alone. With real parts; in virtual time, and for every kind of
error, `tests/chat/test_endings.py` does it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.cluster import Cluster, cluster
from tests.support.limits import without_cost
from tests.support.replica_client import Client, Event, Transcript, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api

SLOW = {"tokens": 400, "gap": 0.05}
FLAG = ["violence"]
MARK = "never-to-be-stored"
"""It is in every message, and the scripted provider quotes messages in its errors."""


@dataclass(frozen=True)
class Way:
    """A way to end that the provider, or moderation, brings about."""

    script: dict[str, Any]
    event: str
    status: str
    code: str | None = None
    problem: dict[str, Any] = field(default_factory=dict)
    """Members that its problem must have."""
    logged: str | None = None
    """The kind of the provider's error."""


UNAVAILABLE = ("error", "failed", "provider_unavailable")
REFUSED = ("error", "failed", "invalid_request", {"status": 422})
FLAGGED = ("error", "filtered", "content_flagged", {"categories": FLAG})
INSIDE = {"detail": "The provider failed inside the reply."}
UNCHECKED = {"detail": "The text could not be checked."}

BY_PROVIDER = {
    "complete": Way({"tokens": 3}, "done", "complete"),
    "at-its-length": Way({"tokens": 3, "finish": "length"}, "done", "complete"),
    "filtered": Way({"tokens": 3, "finish": "content_filter"}, "done", "filtered"),
    "refused-by-policy": Way({"status": 400, "code": "content_filter"}, "done", "filtered", logged="ContentFiltered"),
    "beyond-our-limit": Way({"tokens": 12, "token": "x" * 50_000}, "done", "complete"),
    "unreachable": Way({"drop": True}, *UNAVAILABLE, logged="Unreachable"),
    "no-first-token": Way({"first": 30}, *UNAVAILABLE, logged="FirstSignTimeout"),
    "server-error": Way({"status": 500}, *UNAVAILABLE, logged="ServerError"),
    "throttled": Way({"status": 429}, *UNAVAILABLE, logged="Throttled"),
    "no-credit": Way({"status": 429, "code": "insufficient_quota"}, *UNAVAILABLE, logged="QuotaExhausted"),
    "no-key": Way({"status": 401}, *UNAVAILABLE, logged="AuthenticationRefused"),
    "no-model": Way({"status": 404}, *UNAVAILABLE, logged="ModelNotFound"),
    "no-such-request": Way({"status": 400}, *REFUSED, logged="RequestRefused"),
    "too-long": Way({"status": 400, "code": "context_length_exceeded"}, *REFUSED, logged="ContextTooLong"),
    "broken-before-text": Way({"break_after": 0}, *UNAVAILABLE),
    "broken-after-text": Way({"tokens": 9, "break_after": 3}, *UNAVAILABLE, INSIDE),
    "stalled-after-text": Way({"tokens": 3, "gap": 30}, *UNAVAILABLE, INSIDE),
}
_WHILE_JUDGED = {"tokens": 50, "gap": 0.05, "verdict": 0.3}
BY_MODERATION = {
    "flagged": Way({**_WHILE_JUDGED, "flag": FLAG}, *FLAGGED),
    "no-verdict": Way({**_WHILE_JUDGED, "moderator": 503}, *UNAVAILABLE, UNCHECKED),
    # the moderator does what a text says: here, a reply's, of which readers elsewhere hold a part by then
    "reply-flagged": Way({"gap": 0.7, "pieces": ['{"flag": ', '["violence"]', "}"]}, *FLAGGED),
    "no-verdict-on-reply": Way({"gap": 0.7, "pieces": ['{"moderator": ', "503", "}"]}, *UNAVAILABLE, UNCHECKED),
}


@dataclass
class World:
    """A replica that writes, one that moderates, and another one; and somebody who uses them."""

    writing: Api
    moderating: Api
    other: Api
    client: Client


@pytest.fixture(scope="module")
async def world(
    stack: LocalSupabase, kept_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[World]:
    models = [f"model-{name}" for name in BY_PROVIDER]
    named = [("openai", model) for model in models]
    with without_cost(stack, named):
        async with cluster(stack, tmp_path_factory.mktemp("ends")) as owned:
            # a model for each way to end: what is wrong with one is held against no other
            owned.upstream.models += tuple(models)
            impatient = {"FIRST_TOKEN_TIMEOUT_SECONDS": "1", "TOKEN_GAP_TIMEOUT_SECONDS": "1"}
            moderating = {"MODERATION": "openai", "MODERATION_OUTPUT": "true", "MODERATION_FAIL": "closed"}
            yield World(
                await owned.replica(None, None, **impatient),
                await owned.replica(None, None, **moderating),
                await owned.replica(),
                await owned.client(),
            )


@dataclass
class Told:
    """What each reader was told in the end."""

    message_id: str
    live: Event
    others: list[Event]
    message: dict[str, Any]

    def assert_alike(self) -> None:
        """To the byte: events differ in their ids alone, by what their readers held."""
        for other in self.others:
            assert (other.name, json.dumps(other.data)) == (self.live.name, json.dumps(self.live.data))
        end, message = self.live.data, self.message
        assert len(message["content"]) == end["length"]
        if self.live.name == "error":
            assert (message["status"], message["problem"]) == (end["status"], end["problem"])
            assert message["error_code"] == end["problem"]["code"]
        else:
            assert (message["problem"], message["error_code"]) == (None, None)
            assert message["usage"] == end["usage"]
        if self.live.name == "done":
            for name in ("status", "finish_reason", "provider", "model"):
                assert message[name] == end[name]


async def told(
    client: Client,
    writing: Api,
    other: Api,
    script: dict[str, Any],
    act: Callable[[str], Awaitable[object]] | None = None,
    *,
    model: str | None = None,
    later: tuple[Api, ...] | None = None,
) -> Told:
    """Send to `writing` with a reader there and one at `other`, have `act` happen once both read, and ask again
    afterwards, at `later` (both)."""
    conversation = await client.new_conversation(writing)
    async with client.sending(writing, conversation, script | {"mark": MARK}, model=model) as response:
        seen = await read(response, until=lambda transcript: transcript.message_id is not None)
        message_id = str(seen.message_id)
        async with _following(client, other, message_id) as elsewhere:
            if act is not None:
                await read(response, seen, until=tokens(3))
                await act(message_id)
            with suppress(aiohttp.ClientPayloadError):  # its process was killed
                await read(response, seen)
    if seen.ending is None:  # its replica went away, or sent it here
        seen = await client.follow(other, message_id, seen)
    followed = await elsewhere
    asked_later = [await client.follow(api, message_id) for api in later or (writing, other)]
    assert seen.ending is not None
    others = [transcript.ending for transcript in (followed, *asked_later)]
    assert all(transcript.text == seen.text for transcript in asked_later)
    return Told(message_id, seen.ending, [end for end in others if end], await client.message(other, message_id))


@asynccontextmanager
async def _following(client: Client, api: Api, message_id: str) -> AsyncGenerator[asyncio.Task[Transcript]]:
    """Somebody who reads to the end. In the block it is known that they have begun."""
    begun = asyncio.Event()

    async def follow() -> Transcript:
        async with client.following(api, message_id) as response:
            transcript = await read(response, until=lambda _: True)
            begun.set()
            return transcript if transcript.ending else await read(response, transcript)

    following = asyncio.create_task(follow())
    await begun.wait()
    yield following


@pytest.mark.parametrize("name", BY_PROVIDER)
async def test_by_its_provider(world: World, rows: Rows, name: str) -> None:
    way = BY_PROVIDER[name]
    ends = await told(world.client, world.writing, world.other, way.script, model=f"model-{name}")
    ends.assert_alike()
    _assert_as_expected(ends, way, rows)
    if way.logged is not None:
        assert f'"error": "{way.logged}"' in world.writing.log_text


@pytest.mark.parametrize("name", BY_MODERATION)
async def test_by_moderation(world: World, rows: Rows, name: str) -> None:
    way = BY_MODERATION[name]
    ends = await told(world.client, world.moderating, world.other, way.script)
    ends.assert_alike()
    _assert_as_expected(ends, way, rows)
    assert ends.message["content"] == ""


def _assert_as_expected(ends: Told, way: Way, rows: Rows) -> None:
    assert (ends.live.name, ends.live.data["status"], ends.message["error_code"]) == (way.event, way.status, way.code)
    if ends.message["problem"] is not None:
        assert way.problem.items() <= ends.message["problem"].items()
    stored = rows.message(ends.message_id)["problem"]
    assert stored == ends.message["problem"]
    assert MARK not in json.dumps(stored)


@pytest.mark.parametrize("where", ["writing", "other"])
async def test_by_a_stop(world: World, where: str) -> None:
    api: Api = getattr(world, where)
    # on the replica whose model has not failed yet
    ends = await told(world.client, world.other, world.writing, SLOW, lambda reply: world.client.stop(api, reply))
    ends.assert_alike()
    assert (ends.live.name, ends.message["status"]) == ("stopped", "stopped")


async def test_by_a_deletion(world: World) -> None:
    """Who reads is told; who comes later finds nothing."""
    client = world.client
    conversation = await client.new_conversation(world.other)
    async with client.sending(world.other, conversation, SLOW) as response:
        seen = await read(response, until=tokens(3))
        async with _following(client, world.writing, str(seen.message_id)) as elsewhere:
            await client.session.delete(
                f"{world.writing.url}/v1/conversations/{conversation}", headers=client.person.headers
            )
            await read(response, seen)
    followed = await elsewhere
    assert seen.ending is not None
    assert followed.ending is not None
    assert seen.ending.data == followed.ending.data
    assert seen.ending.data["problem"]["code"] == "not_found"
    for api in (world.writing, world.other):
        for path in ("", "/stream"):
            status, body, _ = await client.call(api, "GET", f"/v1/messages/{seen.message_id}{path}")
            assert (status, body["code"]) == (404, "not_found")


@pytest.mark.parametrize("how", ["terminate", "kill"])
async def test_by_the_end_of_its_process(own: Cluster, rows: Rows, how: str) -> None:
    """Told to end, it stores that it did; killed, another replica finds it out."""
    writing, other, client = await own.replica(), await own.replica(), await own.client()

    async def end(message_id: str) -> None:
        await asyncio.to_thread(getattr(writing, how))
        if how == "kill":
            rows.expire(message_id)

    ends = await told(client, writing, other, SLOW, end, later=(other,))
    ends.assert_alike()
    assert ends.live.name == "error"
    assert ends.message["status"] == ends.message["error_code"] == "interrupted"
