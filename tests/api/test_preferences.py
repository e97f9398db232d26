"""What a user asks for by name: a provider or a model that is not there is refused, one that is ill is passed over."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support.client import assert_problem, history, new_conversation, person_client, send, turn
from tests.support.service import Api, Person, running_api
from tests.support.upstream import MODEL, Upstream

CONVERSATIONS = "/v1/conversations"
ONLY_DEMO = "Available: demo."


@pytest.fixture(scope="module")
async def demo(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Api]:
    """An API without a provider."""
    log = tmp_path_factory.mktemp("demo") / "api.log"
    async with running_api(stack, log, DEFAULT_AI_PROVIDER="gemini", CLAUDE_MODEL="claude-opus-5-5") as running:
        yield running


@pytest.fixture(scope="module")
async def as_demo(demo: Api, owner: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(demo, owner) as client:
        yield client


@pytest.fixture(scope="module")
async def mixed(
    stack: LocalSupabase, upstream: Upstream, owner: Person, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an API whose OpenAI answers and whose Claude and Ollama cannot be reached; OpenAI is the default."""
    log = tmp_path_factory.mktemp("mixed") / "api.log"
    settings = {
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": MODEL,
        "ANTHROPIC_API_KEY": "k",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "OLLAMA_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "OLLAMA_MODEL": "llama3",
        "EMBEDDING_MODEL": "local",
    }
    async with running_api(stack, log, **settings) as running, person_client(running, owner) as client:
        yield client


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"provider": "acme"}, f"There is no provider 'acme'. {ONLY_DEMO}"),
        ({"provider": "openai"}, f"The provider 'openai' is not configured. {ONLY_DEMO}"),
        ({"provider": "ollama", "model": "demo"}, f"The provider 'ollama' is not configured. {ONLY_DEMO}"),
        ({"provider": "demo", "model": "gpt-5-mini"}, f"'demo' does not offer the model 'gpt-5-mini'. {ONLY_DEMO}"),
        ({"model": "gpt-5-mini"}, f"'gpt-5-mini' belongs to 'openai', which is not configured. {ONLY_DEMO}"),
        ({"model": "no-such"}, f"No provider offers the model 'no-such'. {ONLY_DEMO}"),
    ],
)
async def test_the_demo_answers_for_nobody_else(
    as_demo: httpx.AsyncClient, options: dict[str, str], detail: str
) -> None:
    conversation = await new_conversation(as_demo)
    reply = await turn(as_demo, conversation)
    assert (reply["status"], reply["provider"], reply["model"]) == ("complete", "demo", "demo")
    for path, body in (
        (f"{CONVERSATIONS}/{conversation}/messages", {"content": "Hello", **options}),
        (f"/v1/messages/{reply['id']}/regenerate", options),
    ):
        problem = assert_problem(await as_demo.post(path, json=body), 422, "invalid_request")
        assert problem["detail"].endswith(detail)
    assert len(await history(as_demo, conversation)) == 2


@pytest.mark.parametrize("options", [{}, {"provider": "demo"}, {"model": "demo"}, {"task_type": "code"}])
async def test_the_demo_by_its_own_name_or_none(as_demo: httpx.AsyncClient, options: dict[str, str]) -> None:
    reply = await turn(as_demo, await new_conversation(as_demo), **options)
    assert (reply["status"], reply["provider"]) == ("complete", "demo")


async def test_settings_without_effect_are_said_at_the_start(demo: Api) -> None:
    lines = [json.loads(line) for line in demo.log_text.splitlines()]
    said = [line["detail"] for line in lines if line["event"] == "settings.without_effect"]
    assert said == [
        "DEFAULT_AI_PROVIDER=gemini has no effect: GOOGLE_AI_API_KEY is not set",
        "CLAUDE_MODEL has no effect: ANTHROPIC_API_KEY is not set",
    ]


@pytest.mark.parametrize("model", ["no-such", "Scripted-1", "claude-opus-5-5", "demo", "scripted-1:latest"])
async def test_a_conversations_model_that_nobody_offers(as_owner: httpx.AsyncClient, model: str) -> None:
    problem = assert_problem(await as_owner.post(CONVERSATIONS, json={"model": model}), 422, "invalid_request")
    assert f"'{model}'" in problem["detail"]
    assert f"Available: {MODEL}" in problem["detail"]
    made = await as_owner.post(CONVERSATIONS, json={"title": "Old", "model": MODEL})
    path = f"{CONVERSATIONS}/{made.json()['id']}"
    refused = await as_owner.patch(path, json={"title": "New", "model": model})
    assert assert_problem(refused, 422, "invalid_request") == problem
    kept = (await as_owner.get(path)).json()
    assert (kept["title"], kept["model"]) == ("Old", MODEL)


async def test_a_conversations_model_is_kept_by_its_one_name(mixed: httpx.AsyncClient) -> None:
    made = await mixed.post(CONVERSATIONS, json={"model": "llama3:latest"})
    assert (made.status_code, made.json()["model"]) == (201, "llama3")


async def test_a_conversations_model_that_cannot_be_judged_is_taken(mixed: httpx.AsyncClient) -> None:
    """Claude cannot be asked what it lists."""
    made = await mixed.post(CONVERSATIONS, json={"model": "claude-next"})
    assert (made.status_code, made.json()["model"]) == (201, "claude-next")
    reply = await turn(mixed, made.json()["id"])
    assert (reply["status"], reply["provider"], reply["model"]) == ("complete", "openai", MODEL)


async def test_a_conversation_whose_model_has_gone_is_still_answered(
    as_owner: httpx.AsyncClient, owner: Person, stack: LocalSupabase
) -> None:
    conversation = await new_conversation(as_owner, model=MODEL)
    async with httpx.AsyncClient(base_url=stack.url, headers={"apikey": stack.publishable_key}) as http:
        path = f"/rest/v1/conversations?id=eq.{conversation}"
        (await http.patch(path, json={"model": "gone-since"}, headers=owner.headers)).raise_for_status()
    reply = await turn(as_owner, conversation)
    assert (reply["status"], reply["model"]) == ("complete", MODEL)
    # what was not asked to change is no mistake
    renamed = await as_owner.patch(f"{CONVERSATIONS}/{conversation}", json={"title": "New"})
    assert (renamed.status_code, renamed.json()["model"]) == (200, "gone-since")


@pytest.mark.parametrize(
    "options", [{"provider": "claude"}, {"provider": "ollama"}, {"provider": "claude", "model": "claude-opus-5-5"}]
)
async def test_what_is_configured_but_ill_is_passed_over_and_the_reply_says_who_answered(
    mixed: httpx.AsyncClient, options: dict[str, Any]
) -> None:
    transcript = await send(mixed, await new_conversation(mixed), "Hello", **options)
    done = transcript.events[-1]
    assert (done.name, done.data["status"]) == ("done", "complete")
    reply = (await mixed.get(f"/v1/messages/{transcript.events[0].data['message_id']}")).json()
    assert (reply["provider"], reply["model"]) == ("openai", MODEL)


@pytest.mark.parametrize(
    ("provider", "model"), [("claude", MODEL), ("openai", "claude-opus-5-5"), ("ollama", MODEL), ("claude", "llama3")]
)
async def test_a_provider_with_another_ones_model(mixed: httpx.AsyncClient, provider: str, model: str) -> None:
    """Also where that provider cannot be reached."""
    conversation = await new_conversation(mixed)
    body = {"content": "Hello", "provider": provider, "model": model}
    refused = await mixed.post(f"{CONVERSATIONS}/{conversation}/messages", json=body)
    problem = assert_problem(refused, 422, "invalid_request")
    assert f"The provider '{provider}' does not offer the model '{model}'. Available: " in problem["detail"]
    assert await history(mixed, conversation) == []


async def test_without_a_task_the_default_provider_answers(mixed: httpx.AsyncClient) -> None:
    default = (await mixed.get("/v1/models")).json()["default"]
    assert default == {"provider": "openai", "model": MODEL}
