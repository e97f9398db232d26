"""Lists of models, in the shapes that servers give them."""

from __future__ import annotations

import json

import pytest

from app.errors import BrokenStream, ProviderError
from app.values import ProviderName
from tests.contract.conftest import served
from tests.support.raw_upstream import Exchange

TWO = frozenset({"one", "two"})
LISTS: list[tuple[str, object, frozenset[str]]] = [
    ("openai", {"object": "list", "data": [{"id": "one", "object": "model"}, {"id": "two", "name": "Second"}]}, TWO),
    # Together, GitHub
    ("openai", [{"id": "one"}, {"id": "two", "type": "chat"}], TWO),
    # Cohere, LM Studio
    ("openai", {"models": [{"name": "one"}, {"name": "two", "endpoints": ["chat"]}]}, TWO),
    # Cloudflare
    ("openai", {"success": True, "result": [{"name": "one", "id": "one"}, {"id": "two"}]}, TWO),
    ("openai", {"data": ["one", "two"]}, TWO),
    ("openai", {"data": [{"id": "one"}, None, {"id": None}, {"id": 7, "name": "two"}]}, TWO),
    ("openai", {"object": "list", "data": None}, frozenset()),
    ("openai", {"data": []}, frozenset()),
    ("claude", {"data": [{"type": "model", "id": "one"}, {"id": "two", "display_name": "Two"}]}, TWO),
    ("claude", [{"id": "one"}, {"id": "two"}], TWO),
    ("claude", {"models": [{"name": "one"}, {"name": "two"}]}, TWO),
    ("gemini", {"models": [{"name": "models/one"}, {"name": "two"}]}, TWO),
    ("gemini", {"models": None}, frozenset()),
    ("gemini", {}, frozenset()),
    ("ollama", {"models": [{"name": "one:latest", "details": None}, {"model": "two"}]}, TWO | {"one:latest"}),
    # before 0.1.38, without any model
    ("ollama", {"models": None}, frozenset()),
    ("ollama", {"data": [{"id": "one"}]}, frozenset({"one"})),
]  # fmt: skip


@pytest.mark.parametrize(("adapter", "body", "names"), LISTS, indirect=["adapter"])
async def test_list_of_models(adapter: ProviderName, body: object, names: frozenset[str]) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(body).encode())

    async with served(adapter, answer) as (provider, _):
        assert await provider.list_models() == names


@pytest.mark.parametrize("body", [b"<html></html>", b'"one"', b'{"data": {"one": {}}}', b"null", b""])
@pytest.mark.parametrize("adapter", ["openai", "claude", "ollama"], indirect=True)
async def test_answer_that_is_no_list(adapter: ProviderName, body: bytes) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, body)

    async with served(adapter, answer) as (provider, _):
        with pytest.raises(BrokenStream):
            await provider.list_models()


async def test_server_without_a_list(adapter: ProviderName) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(404, b'{"detail": "Not Found"}')

    async with served(adapter, answer) as (provider, _):
        with pytest.raises(ProviderError):
            await provider.list_models()
