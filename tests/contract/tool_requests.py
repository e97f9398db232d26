"""Requests with tools, and a server that keeps what it is sent of them."""

from __future__ import annotations

from typing import Any

from app.values import ChatRequest, JsonSchema, Message, ProviderName, Sampling, StreamItem, Tool, ToolCall
from tests.contract.conftest import MODEL, served
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
}
WEATHER = Tool("weather", "The weather of a city.", SCHEMA)
NOW = Tool("now")
ASKED = ChatRequest(MODEL, (Message("user", "Oslo and Rome?"),), tools=(WEATHER, NOW))
REPLY = JsonSchema("forecast", SCHEMA, "A forecast.", True)
ALL = Sampling(("END",), 0.5, 0.9, 7, 0.1, 0.2)
HISTORY = (
    Message("user", "Hi"),
    Message("assistant", "", (ToolCall("functions.weather:0", "weather", '{"city": "Oslo"}'),)),
    Message("tool", "rain", tool_call_id="functions.weather:0"),
    Message("user", "Thanks."),
)
SIGNED = (
    Message("user", "Hi"),
    Message("assistant", "", (ToolCall("a__thought__c2ln", "weather", "{}"), ToolCall("b", "weather", "{}"))),
    Message("tool", "rain", tool_call_id="a__thought__c2ln"),
    Message("tool", "sun", tool_call_id="b"),
    Message("assistant", "", (ToolCall("c", "now", "{}"),)),
    Message("tool", "12:00", tool_call_id="c"),
)


class Server:
    """Plays a provider: gives each of `replies` once, the last one for ever, and keeps what it was sent."""

    def __init__(self, adapter: ProviderName, *replies: bytes) -> None:
        self.adapter = adapter
        self.replies = list(replies)
        self.bodies: list[Any] = []

    async def answer(self, exchange: Exchange) -> None:
        if exchange.path in ("/api/show", "/api/ps"):  # how much an Ollama has room for
            exchange.reply(404, b"{}")
            return
        self.bodies.append(exchange.json)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        exchange.start()
        exchange.send(reply)

    async def ask(self, *requests: ChatRequest) -> list[list[StreamItem]]:
        async with served(self.adapter, self.answer) as (provider, _):
            return [[item async for item in provider.stream(request)] for request in requests]


def plain(adapter: ProviderName) -> bytes:
    return WIRES[adapter].opening + WIRES[adapter].token + WIRES[adapter].ending


async def sent(adapter: ProviderName, request: ChatRequest) -> Any:
    """The body of `request`."""
    server = Server(adapter, plain(adapter))
    await server.ask(request)
    (body,) = server.bodies
    return body
