"""Replies as servers were reported to give them, through the API to the row that is stored; and users whose requests
are refused beside one whose is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from app.values import ProviderName
from scripts.local_supabase import LocalSupabase
from tests.contract.refusals import CASES, USERS, Refusal
from tests.contract.reported import REPORTS
from tests.contract.reporting import Reported
from tests.support.aimock import AIMock
from tests.support.client import new_conversation, person_client, turn
from tests.support.limits import without_cost
from tests.support.raw_upstream import Answer, Exchange, raw_upstream
from tests.support.service import Person, running_api, sign_up
from tests.support.wires import WIRES

MODELS = {"openai": "gpt-of-another", "claude": "claude-x", "gemini": "gemini-x", "ollama": "llama-x"}
PATHS = {"completions": "openai", "messages": "claude", ":streamGenerateContent": "gemini", "chat": "ollama"}


class Servers:
    """The four providers' servers: each lists its model, and answers as `script` says."""

    def __init__(self) -> None:
        self.url = ""
        self.script: Answer = self.say_token
        self.asked: list[str] = []
        """Who was asked for a reply."""

    async def answer(self, exchange: Exchange) -> None:
        if exchange.method == "GET" or exchange.path == "/api/show":
            models = (*MODELS.values(), *(model_of(report) for report in REPORTS.values()))
            names = [{"id": model, "name": model} for model in models]
            exchange.reply(200, json.dumps({"data": names, "models": names}).encode())
            return
        self.asked.append(adapter_of(exchange))
        await self.script(exchange)

    async def say_token(self, exchange: Exchange) -> None:
        wire = WIRES[ProviderName(adapter_of(exchange))]
        exchange.start()
        exchange.send(wire.opening, wire.token, wire.ending)


def model_of(report: Reported) -> str:
    """The default, or one of its own for a reply from which the service learns."""
    model = MODELS[report.adapter]
    return f"{model}-{list(REPORTS.values()).index(report)}" if report.learnt else model


def adapter_of(exchange: Exchange) -> str:
    return next(name for end, name in PATHS.items() if exchange.path.partition("?")[0].endswith(end))


@pytest.fixture(scope="module")
async def servers() -> AsyncGenerator[Servers]:
    scripted = Servers()
    async with raw_upstream(scripted.answer) as upstream:
        scripted.url = upstream.url
        yield scripted


@pytest.fixture(scope="module")
async def clients(
    stack: LocalSupabase, owner: Person, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[list[httpx.AsyncClient]]:
    """Clients of several users of an API with all four providers."""
    log: Path = tmp_path_factory.mktemp("reported") / "api.log"
    models = {f"{name.upper()}_MODEL": model for name, model in MODELS.items()}
    learnt = {(report.adapter, model_of(report)) for report in REPORTS.values() if report.learnt}
    settings = AIMock.settings_at(servers.url) | models | {"EMBEDDING_MODEL": "local", "ENABLE_RAG": "false"}
    async with running_api(stack, log, **settings) as api, AsyncExitStack() as opened:
        opened.enter_context(without_cost(stack, learnt))
        people = [owner, *await asyncio.gather(*(sign_up(stack) for _ in range(USERS)))]
        yield [await opened.enter_async_context(person_client(api, person)) for person in people]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
async def test_reported_reply_is_stored_whole(
    clients: list[httpx.AsyncClient], servers: Servers, report: Reported
) -> None:
    answer = report()

    async def script(exchange: Exchange) -> None:
        await (answer if adapter_of(exchange) == report.adapter else servers.say_token)(exchange)

    servers.script, servers.asked = script, []
    client = clients[0]
    model = model_of(report)
    reply = await turn(client, await new_conversation(client), "What time is it?", provider=report.adapter, model=model)

    assert (reply["status"], reply["content"]) == ("complete", report.text)
    assert (reply["provider"], reply["model"]) == (report.adapter, model)
    assert reply["finish_reason"] == report.reason
    usage = reply["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    if report.usage is not None:
        counted = (report.usage.prompt_tokens, report.usage.completion_tokens)
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == counted


@pytest.mark.parametrize(("adapter", "kind", "refusal"), CASES)
async def test_a_fifth_users_short_message_is_answered_by_the_same_model(
    clients: list[httpx.AsyncClient], servers: Servers, adapter: str, kind: str, refusal: Refusal
) -> None:
    status, body = refusal

    async def script(exchange: Exchange) -> None:
        if adapter_of(exchange) != adapter or b"BAD" not in exchange.body:
            await servers.say_token(exchange)
        elif status == 200:
            exchange.start()
            exchange.send(body)
        else:
            exchange.reply(status, body)

    async def ask(client: httpx.AsyncClient, content: str) -> tuple[str, str]:
        reply = await turn(client, await new_conversation(client), content, provider=adapter)
        return reply["status"], reply["provider"]

    servers.script, servers.asked = script, []
    *others, fifth = clients
    refused = asyncio.gather(*(ask(client, "BAD " * 5_000) for client in others))
    assert await ask(fifth, "Hi") == ("complete", adapter)
    for state, provider in await refused:
        assert (state, provider == adapter) == (("filtered", True) if kind == "flagged" else ("complete", False))
    assert await ask(fifth, "Hi again") == ("complete", adapter)

    listed = (await fifth.get("/v1/models")).json()["items"]
    assert {item["breaker"] for item in listed if item["provider"] == adapter} == {"closed"}
    if kind == "flagged":
        assert set(servers.asked) == {adapter}
