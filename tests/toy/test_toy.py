"""A provider that is a folder and one line in the registry: nothing else is changed, and it does what all others do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support import upstream as scripted
from tests.support.client import PATIENCE_SECONDS, assert_problem, new_conversation, send, turn
from tests.support.documents import found, put_in
from tests.support.raw_upstream import Exchange, Upstream, raw_upstream
from tests.support.service import Api, Person, environment, running_api

ROOT = Path(__file__).parent.parent.parent
QUERY = "?version=7"


async def play(exchange: Exchange) -> None:
    """A toy server. A conversation that speaks of an outage is answered by one."""
    path = exchange.path.removesuffix(QUERY)
    assert exchange.path == path + QUERY
    assert exchange.headers["x-toy-key"] == "toy-key"
    match path:
        case "/toys/chat" if "outage" in exchange.json["said"][-1]:
            exchange.reply(503, b"{}")
        case "/toys/chat":
            exchange.start(content_type="application/x-ndjson")
            for word in ("I ", "am ", "a toy."):
                exchange.send(json.dumps({"text": word}).encode() + b"\n")
            exchange.send(b'{"words": [5, 3]}\n')
        case "/toys/models":
            exchange.reply(200, json.dumps(["toy-1", "toy-2", "toy-9"]).encode())
        case "/toys/embed":
            # two texts are alike as far as both speak of bears
            exchange.reply(200, json.dumps([[1.0, float("bear" in text)] for text in exchange.json]).encode())
        case "/toys/moderate":
            exchange.reply(200, json.dumps(["rude"] if "blockhead" in exchange.json else []).encode())
        case _:
            exchange.reply(404, b"{}")


@dataclass
class World:
    """An API with the toy and another provider, the toy's server, and a client."""

    api: Api
    toys: Upstream
    client: httpx.AsyncClient

    def chats(self) -> list[Exchange]:
        return [exchange for exchange in self.toys.exchanges if exchange.path.startswith("/toys/chat")]


@pytest.fixture(scope="module")
async def world(
    stack: LocalSupabase, upstream: scripted.Upstream, owner: Person, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[World]:
    log = tmp_path_factory.mktemp("toy") / "api.log"
    async with raw_upstream(play) as toys:
        settings = {
            "TOY_API_KEY": "toy-key",
            "TOY_BASE_URL": f"{toys.url}/toys/{QUERY}",
            "DEFAULT_AI_PROVIDER": "toy",
            "EMBEDDING_MODEL": "toy-embed-1",
            "MODERATION": "toy",
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": upstream.url,
            "OPENAI_MODEL": scripted.MODEL,
        }
        async with (
            running_api(stack, log, module="tests.toy", **settings) as api,
            # not a `person_client`: the committed API description knows no toy
            httpx.AsyncClient(base_url=api.url, headers=owner.headers, timeout=PATIENCE_SECONDS) as client,
        ):
            yield World(api, toys, client)


@pytest.fixture
async def conversation(world: World) -> str:
    return await new_conversation(world.client)


async def test_a_turn_is_answered_by_it(world: World, conversation: str) -> None:
    before = len(world.chats())

    reply = await turn(world.client, conversation, "Who are you?")

    assert (reply["provider"], reply["model"], reply["content"]) == ("toy", "toy-1", "I am a toy.")
    assert (reply["status"], reply["finish_reason"]) == ("complete", "stop")
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == (5, 3)
    (chat,) = world.chats()[before:]
    assert (chat.json["model"], chat.json["said"][-1]) == ("toy-1", "Who are you?")


async def test_it_is_streamed(world: World, conversation: str) -> None:
    transcript = await send(world.client, conversation, "Who are you?")

    assert transcript.text == "I am a toy."
    assert transcript.events[0].data["provider"] == "toy"


async def test_it_is_among_the_models(world: World) -> None:
    listed = (await world.client.get("/v1/models")).json()

    assert listed["default"] == {"provider": "toy", "model": "toy-1"}
    toys = [item for item in listed["items"] if item["provider"] == "toy"]
    assert [(item["model"], item["available"], item["max_output_tokens"]) for item in toys] == [
        ("toy-1", True, 1_000),
        ("toy-2", True, None),
    ]
    assert {tuple(item["task_types"]) for item in toys} == {("code",)}


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({"provider": "toy"}, "toy-1"),
        ({"model": "toy-2"}, "toy-2"),
        ({"task_type": "code"}, "toy-1"),
    ],
)
async def test_the_router_chooses_it(world: World, conversation: str, options: dict[str, str], model: str) -> None:
    reply = await turn(world.client, conversation, **options)

    assert (reply["provider"], reply["model"], reply["status"]) == ("toy", model, "complete")


async def test_model_that_it_only_lists_has_no_price(world: World, conversation: str) -> None:
    """So that it is refused until the operator gives it one."""
    path, body = f"/v1/conversations/{conversation}/messages", {"content": "Hello", "provider": "toy", "model": "toy-9"}
    refused = await world.client.post(path, json=body)

    assert refused.status_code == 422
    assert "toy/toy-9, which has no known price. Available: toy/toy-1, " in refused.json()["detail"]


async def test_others_answer_where_it_cannot(world: World, conversation: str) -> None:
    reply = await turn(world.client, conversation, "outage", provider="toy")

    assert (reply["provider"], reply["model"], reply["status"]) == ("openai", scripted.MODEL, "complete")


async def test_a_model_that_it_does_not_have(world: World, conversation: str) -> None:
    answer = await world.client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"content": "Hello", "provider": "toy", "model": scripted.MODEL},
    )
    problem = assert_problem(answer, 422, "invalid_request")

    assert problem["detail"].startswith(f"The provider 'toy' does not offer the model '{scripted.MODEL}'. Available: ")
    assert "toy-1" in problem["detail"]


async def test_it_makes_vectors(world: World) -> None:
    document = await put_in(world.client, "A bear lives in the woods.")

    assert (document["status"], document["embedding_model"]) == ("ready", "toy-embed-1")
    (passage,) = await found(world.client, "What does a bear do?")
    assert passage["similarity"] == pytest.approx(1.0)
    assert await found(world.client, "What does a fox do?", threshold=0.9) == []


async def test_it_moderates(world: World) -> None:
    answer = await world.client.post("/v1/moderations", json={"content": "You blockhead"})
    assert answer.json() == {"allowed": False, "categories": ["rude"]}
    answer = await world.client.post("/v1/moderations", json={"content": "You dear"})
    assert answer.json() == {"allowed": True, "categories": []}


async def test_the_api_description_names_it(world: World) -> None:
    schemas = (await world.client.get("/schema/openapi.json")).json()["components"]["schemas"]

    for name in ("NewMessage", "AnswerOptions"):
        assert "toy" in schemas[name]["properties"]["provider"]["anyOf"][0]["enum"]
    for name in ("ModelView", "DefaultView"):
        assert "toy" in schemas[name]["properties"]["provider"]["enum"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TOY_BASE_URL": "toys"}, "parley: TOY_BASE_URL must be an http:// or https:// address\n"),
        (
            {"TOY_API_KEY": "k\u2026"},
            "parley: TOY_API_KEY has a character that no key can have: it must be ASCII without blanks\n",
        ),
        ({"MODERATION": "toy"}, "parley: TOY_API_KEY is not set, and MODERATION=toy needs it\n"),
        (
            {"DEFAULT_AI_PROVIDER": "doll"},
            "parley: DEFAULT_AI_PROVIDER is malformed: expected one of gemini, openai, claude, ollama, demo, toy\n",
        ),
    ],
)
def test_its_settings_are_checked_at_the_start(stack: LocalSupabase, settings: dict[str, str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.toy"],
        cwd=ROOT,
        env=environment(stack, PARLEY_PORT=str(free_port()), **settings),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stderr) == (2, said)


def test_elsewhere_it_is_no_provider(stack: LocalSupabase) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env=environment(stack, PARLEY_PORT=str(free_port()), DEFAULT_AI_PROVIDER="toy"),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stderr.split(":")[1].strip()) == (2, "DEFAULT_AI_PROVIDER is malformed")
