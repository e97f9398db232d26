"""kill -9 while models think: what was stored of it stays, is readable elsewhere, and is paid for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx

from app.values import ProviderName
from scripts.local_supabase import LocalSupabase
from tests.reasoning.conftest import NewApi
from tests.reasoning.thinker import CLAUDE, GEMINI, OLLAMA, OPENAI, Call, Thinker
from tests.support.client import EventReader, new_conversation, person_client, reading
from tests.support.replica_client import eventually
from tests.support.rows import Rows
from tests.support.service import Api, Person, sign_up

TALKING = (CLAUDE, OLLAMA)
"""Those that have begun to write when their writer is killed."""


async def test_the_writer_is_killed_while_models_think(
    new_api: NewApi, replicas: tuple[Api, Api], stack: LocalSupabase, thinker: Thinker, rows: Rows
) -> None:
    person = await sign_up(stack)
    async with new_api() as writer, person_client(replicas[1], person) as other:
        replies = {adapter: Reply(adapter) for adapter in (OPENAI, CLAUDE, GEMINI, OLLAMA)}
        async with person_client(writer, person) as client, asyncio.TaskGroup() as reading_on:
            for reply in replies.values():
                await reply.begin(client, thinker)
                reading_on.create_task(reply.read(client))
            for reply in replies.values():
                await eventually(lambda reply=reply: rows.message(reply.id)["reasoning"], within=15)
                reply.go_on()
            await eventually(lambda: all(reply.up_to_date for reply in replies.values()), within=15)
            writer.kill()
        stored = {adapter: rows.message(reply.id) for adapter, reply in replies.items()}
        for adapter, reply in replies.items():
            assert stored[adapter]["status"] == "streaming"
            assert reply.call.thoughts.startswith(stored[adapter]["reasoning"])
            assert reply.call.text.startswith(stored[adapter]["content"])
            rows.expire(reply.id)
        await eventually(lambda: rows.streaming(person.id) == 0, within=30, pause=0.2)
        for adapter, reply in replies.items():
            await reply.check(other, stored[adapter])
            _is_charged(rows, person, reply.id)


class Reply:
    """One reply and a reader of it."""

    def __init__(self, adapter: ProviderName) -> None:
        self.adapter = adapter
        self.id = ""
        self.call: Call
        self._reader: EventReader | None = None

    async def begin(self, client: httpx.AsyncClient, thinker: Thinker) -> None:
        marker = f"{self.adapter} has a writer that is killed"
        conversation = await new_conversation(client)
        body = {"content": marker, "provider": self.adapter}
        answer = await client.post(f"/v1/conversations/{conversation}/messages", json=body)
        self.id = answer.json()["message"]["id"]
        self.call = await thinker.call(self.adapter, marker)
        self.call.start()
        self.call.think("Grüße. 😀 ")

    def go_on(self) -> None:
        self.call.think("And more. ")
        if self.adapter in TALKING:
            self.call.say("Viel 👍🏽")

    @property
    def up_to_date(self) -> bool:
        """Whether the reader has all that was thought and said."""
        seen = self._reader and self._reader.transcript
        return seen is not None and (seen.reasoning, seen.text) == (self.call.thoughts, self.call.text)

    async def read(self, client: httpx.AsyncClient) -> None:
        with suppress(httpx.TransportError):  # the connection of a killed server
            async with reading(client, "GET", f"/v1/messages/{self.id}/stream") as self._reader:
                await self._reader.to_end()

    async def check(self, other: httpx.AsyncClient, stored: dict[str, Any]) -> None:
        """Another replica shows what was stored, to whoever comes with all and to whoever comes anew."""
        assert self._reader is not None
        row = (await other.get(f"/v1/messages/{self.id}")).json()
        assert (row["status"], row["reasoning"], row["content"]) == (
            "interrupted",
            stored["reasoning"],
            stored["content"],
        )
        for after in (self._reader.transcript.last_id, 0):
            url = f"/v1/messages/{self.id}/stream"
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            answer = await other.get(url, headers=headers)
            assert '"code":"interrupted"' in answer.text
            assert "event: error\n" in answer.text
            if not after:
                assert stored["reasoning"].strip() in answer.text
            else:
                assert "event: reasoning\n" not in answer.text


def _is_charged(rows: Rows, person: Person, reply: str) -> None:
    row = rows.message(reply)
    assert row["prompt_tokens"] > 0
    assert row["reasoning_tokens"] == -(-len(row["reasoning"].encode()) // 4)
    assert row["completion_tokens"] == row["reasoning_tokens"] + -(-len(row["content"].encode()) // 4)
    (entry,) = rows.all("select * from private.usage_ledger where reply_id = %s", reply)
    assert (str(entry["user_id"]), entry["completion_tokens"]) == (person.id, row["completion_tokens"])
