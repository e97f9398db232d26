"""A server that plays all four providers and thinks, writes and ends as the test says, step by step.

async with raw_upstream(thinker.answer) as upstream: ...
call = await thinker.call(OPENAI, "marker")   # of the turn whose prompt holds the marker
call.start()                              # the headers
call.think("Let me see. ")
call.say("42")
call.end()
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from app.values import ProviderName
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES, said, sse, thought

OPENAI, CLAUDE, GEMINI, OLLAMA = map(ProviderName, ("openai", "claude", "gemini", "ollama"))
OLLAMA_MODEL = "qwen3"

# All but Ollama's are names that are in no network of one's own, so that the patience with them is that with hosted
# providers. The server is reached as the proxy for them.
SETTINGS = {
    "OPENAI_API_KEY": "test-openai",
    "OPENAI_BASE_URL": "http://openai.example.com/v1",
    "ANTHROPIC_API_KEY": "test-claude",
    "ANTHROPIC_BASE_URL": "http://claude.example.com",
    "GOOGLE_AI_API_KEY": "test-gemini",
    "GOOGLE_AI_BASE_URL": "http://gemini.example.com",
    "OLLAMA_MODEL": OLLAMA_MODEL,
    "EMBEDDING_MODEL": "local",
    "NO_PROXY": "127.0.0.1",
}
_PATHS = {"/chat/completions": OPENAI, "/v1/messages": CLAUDE, ":streamGenerateContent": GEMINI, "/api/chat": OLLAMA}


@dataclass
class Call:
    """One request for a reply. Steps take no time: what they send is on its way when they return."""

    adapter: ProviderName
    exchange: Exchange
    thoughts: str = ""
    """All reasoning that has been sent."""
    text: str = ""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        self.exchange.start()

    def ping(self) -> None:
        """A sign of life that is nothing else."""
        match self.adapter:
            case "claude":
                self.exchange.send(sse({"type": "ping"}, name=True))
            case "ollama":
                self.exchange.send(b"\n")
            case _:
                self.exchange.send(b": keep-alive\n\n")

    def think(self, text: str) -> None:
        self.thoughts += text
        self.exchange.send(thought(self.adapter, text))

    def say(self, text: str) -> None:
        self.text += text
        self.exchange.send(said(self.adapter, text))

    def end(self, ending: bytes | None = None) -> None:
        """The reason to finish and the counts, or those bytes, then the end of the answer."""
        self.exchange.send(WIRES[self.adapter].ending if ending is None else ending)
        self._over.set()

    def refuse(self, status: int, message: str) -> None:
        """An HTTP error in place of an answer."""
        error: object = message if self.adapter == OLLAMA else {"message": message, "type": "invalid_request_error"}
        self.exchange.reply(status, json.dumps({"error": error}).encode())
        self._over.set()

    async def over(self) -> None:
        """Wait for the end, or until the client has hung up."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._over, self.exchange.gone)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()


class Thinker:
    """`answer` is for `raw_upstream`."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._arrived = asyncio.Condition()

    def calls(self, marker: str) -> list[Call]:
        """The calls so far whose prompt holds `marker`."""
        return [call for call in self._calls if marker.encode() in call.exchange.body]

    async def call(self, adapter: ProviderName | None, marker: str, number: int = 1) -> Call:
        """The first call whose prompt holds `marker`, or a later one, as soon as it is there. It must be `adapter`'s,
        or may be anybody's."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.calls(marker)) >= number)
        call = self.calls(marker)[number - 1]
        assert adapter in (None, call.adapter)
        return call

    async def answer(self, exchange: Exchange) -> None:
        adapter = next((adapter for end, adapter in _PATHS.items() if end in exchange.path), None)
        if adapter is None:
            models = [{"name": OLLAMA_MODEL}] if exchange.path.endswith("/api/tags") else []
            exchange.reply(200, json.dumps({"models": models, "data": []}).encode())
            return
        call = Call(adapter, exchange)
        async with self._arrived:
            self._calls.append(call)
            self._arrived.notify_all()
        await call.over()
