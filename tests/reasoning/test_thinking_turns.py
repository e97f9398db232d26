"""What reasoning is part of, and what it is not: counts and costs, but no history; efforts, stops and breakers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.routing.window import LEAST_CALLS
from app.values import ProviderName
from scripts.local_supabase import LocalSupabase
from tests.reasoning.conftest import NewApi
from tests.reasoning.thinker import CLAUDE, GEMINI, OLLAMA, OLLAMA_MODEL, OPENAI, Thinker
from tests.support.client import WAIT, new_conversation, person_client, reading
from tests.support.rows import Rows
from tests.support.service import sign_up
from tests.support.wires import sse

Asked = dict[str, Any]


async def reply_to(client: httpx.AsyncClient, conversation: str, content: str, **body: Any) -> Asked:
    """Send, and wait for the finished reply."""
    answer = await client.post(
        f"/v1/conversations/{conversation}/messages", json={"content": content, **body}, headers=WAIT
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


# ── counts ───────────────────────────────────────────────────────────────────────────────────────────────────────

_STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def _openai(completion: int, total: int | None = 46) -> bytes:
    details = {"reasoning_tokens": 20}
    usage = {"prompt_tokens": 12, "completion_tokens": completion, "completion_tokens_details": details}
    return sse(_STOP, {"choices": [], "usage": usage | ({} if total is None else {"total_tokens": total})})


def _claude() -> bytes:
    usage = {"input_tokens": 12, "output_tokens": 34, "output_tokens_details": {"thinking_tokens": 20}}
    ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    return sse(ending, {"type": "message_stop"}, name=True)


def _gemini(total: int | None = 46) -> bytes:
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 14, "thoughtsTokenCount": 20}
    usage |= {} if total is None else {"totalTokenCount": total}
    return sse({"candidates": [{"index": 0, "finishReason": "STOP"}], "usageMetadata": usage})


# 12 tokens of prompt, 20 of reasoning and 14 of text, and their cost by the catalog's prices
COUNTED = [
    pytest.param(OPENAI, _openai(34), 182, id="openai, within the completion"),
    pytest.param(OPENAI, _openai(34, None), 182, id="openai, within it and without a total"),
    pytest.param(OPENAI, _openai(14), 182, id="openai, beside the completion"),
    pytest.param(OPENAI, _openai(14, None), 182, id="openai, beside it and without a total"),
    pytest.param(CLAUDE, _claude(), 364, id="claude"),
    pytest.param(GEMINI, _gemini(), 273, id="gemini"),
    pytest.param(GEMINI, _gemini(None), 273, id="gemini, without a total"),
    pytest.param(
        OLLAMA,
        b'{"message":{},"done":true,"done_reason":"stop","prompt_eval_count":12,"eval_count":34}\n',
        0,
        id="ollama",
    ),
]


@pytest.mark.parametrize(("adapter", "ending", "cost"), COUNTED, indirect=["adapter"])
async def test_reasoning_is_counted_and_billed(
    client: httpx.AsyncClient,
    thinker: Thinker,
    rows: Rows,
    request: pytest.FixtureRequest,
    adapter: ProviderName,
    ending: bytes,
    cost: int,
) -> None:
    marker = request.node.name
    turn = asyncio.create_task(reply_to(client, await new_conversation(client), marker, provider=adapter))
    call = await thinker.call(adapter, marker)
    call.start()
    call.think("x" * 80)
    call.say("y" * 56)
    call.end(ending)
    reply = await turn
    usage = {"prompt_tokens": 12, "completion_tokens": 34, "cached_tokens": 0, "reasoning_tokens": 20}
    usage["cost_micro_usd"] = cost
    assert (reply["provider"], reply["usage"]) == (adapter, usage)
    assert reply["tokens_used"] == 46
    (entry,) = rows.all("select * from private.usage_ledger where reply_id = %s", reply["id"])
    assert (entry["prompt_tokens"], entry["completion_tokens"], entry["cost_micro_usd"]) == (12, 34, cost)
    month = (await client.get("/v1/usage")).json()["month"]
    assert (month["completion_tokens"], month["cost_micro_usd"]) == (34, cost)


# ── no history ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_reasoning_is_no_history(client: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName) -> None:
    conversation, marker = await new_conversation(client), f"{adapter} forgets what it thought"
    turn = asyncio.create_task(reply_to(client, conversation, marker, provider=adapter))
    call = await thinker.call(adapter, marker)
    call.start()
    call.think("UNSAID")
    call.say("Said")
    call.end()
    assert (await turn)["reasoning"] == "UNSAID"
    turn = asyncio.create_task(reply_to(client, conversation, "And now?", provider=adapter))
    following = await thinker.call(adapter, marker, 2)
    following.start()
    following.say("Done")
    following.end()
    await turn
    assert b"Said" in following.exchange.body
    assert b"UNSAID" not in following.exchange.body


# ── efforts ──────────────────────────────────────────────────────────────────────────────────────────────────────

_OPENAI_OFF = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
EFFORTS: list[tuple[ProviderName, str, Asked]] = [
    (OPENAI, "off", _OPENAI_OFF),
    (OPENAI, "medium", {"reasoning_effort": "medium"}),
    (CLAUDE, "off", {"thinking": {"type": "between_tools"}}),
    (
        CLAUDE,
        "medium",
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"}},
    ),
    (GEMINI, "off", {"thinkingConfig": {"thinkingLevel": "minimal"}}),
    (GEMINI, "medium", {"thinkingConfig": {"thinkingLevel": "medium", "includeThoughts": True}}),
    (OLLAMA, "off", {"think": False}),
    (OLLAMA, "medium", {"think": "medium"}),
]


@pytest.mark.parametrize(("adapter", "effort", "expected"), EFFORTS, indirect=["adapter"])
async def test_the_effort_reaches_the_provider_in_its_own_words(
    client: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName, effort: str, expected: Asked
) -> None:
    conversation, marker = await new_conversation(client), f"{adapter} is asked for {effort}"
    turn = asyncio.create_task(reply_to(client, conversation, marker, provider=adapter, reasoning=effort))
    call = await thinker.call(adapter, marker)
    call.start()
    call.say("42")
    call.end()
    await turn
    body = call.exchange.json
    body = body.get("generationConfig", {}) if adapter == GEMINI else body
    assert {name: body.get(name) for name in expected} == expected


REFUSALS = {
    OPENAI: "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
    CLAUDE: "output_config.effort: this model does not support the effort parameter",
    GEMINI: "Thinking level is not supported for this model.",
    OLLAMA: f'"{OLLAMA_MODEL}" does not support thinking',
}
NAMES = {OPENAI: "reasoning_effort", CLAUDE: "output_config", GEMINI: "thinkingLevel", OLLAMA: "think"}


async def test_an_effort_that_is_refused_by_name_is_left_out_once_and_remembered(
    client: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName
) -> None:
    conversation, marker = await new_conversation(client), f"{adapter} takes no effort"
    turns = [asyncio.create_task(reply_to(client, conversation, marker, provider=adapter, reasoning="high"))]
    call, number = await thinker.call(adapter, marker), 1
    assert _has(call.exchange.json, NAMES[adapter])
    while _has(call.exchange.json, NAMES[adapter]):  # one form after another, where there are several
        call.refuse(400, REFUSALS[adapter])
        number += 1
        assert number < 5
        call = await thinker.call(adapter, marker, number)
    for _ in range(2):
        call.start()
        call.say("42")
        call.end()
        reply = await turns.pop()
        assert (reply["status"], reply["provider"], reply["content"]) == ("complete", adapter, "42")
        turns.append(asyncio.create_task(reply_to(client, conversation, "Again", provider=adapter, reasoning="high")))
        number += 1
        call = await thinker.call(adapter, marker, number)
        assert not _has(call.exchange.json, NAMES[adapter])
    call.start()
    call.say("42")
    call.end()
    assert (await turns.pop())["status"] == "complete"


def _has(body: Asked, name: str) -> bool:
    """Whether a parameter of that name is anywhere in the request."""
    return f'"{name}"' in json.dumps(body)


async def test_an_effort_that_there_is_not_is_refused(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client)
    answer = await client.post(
        f"/v1/conversations/{conversation}/messages", json={"content": "Hi", "reasoning": "extreme"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "reasoning" in answer.text
    assert all(effort in answer.text for effort in ("off", "low", "medium", "high"))


# ── stops ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_stopping_a_model_that_thinks_keeps_what_it_thought(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName
) -> None:
    conversation, marker = await new_conversation(client), f"{adapter} is stopped"
    path, body = f"/v1/conversations/{conversation}/messages", {"content": marker, "provider": adapter}
    async with reading(client, "POST", path, json=body) as reader:
        call = await thinker.call(adapter, marker)
        call.start()
        call.think("x" * 40)
        await reader.until("reasoning")
        message = reader.transcript.events[0].data["message_id"]
        await elsewhere.post(f"/v1/messages/{message}/stop")
        transcript = await reader.to_end()
    await call.over()
    assert transcript.ending is not None
    assert transcript.ending.name == "stopped"
    assert transcript.ending.data["length"] == 0
    reply = (await elsewhere.get(f"/v1/messages/{message}")).json()
    assert (reply["status"], reply["content"], reply["reasoning"]) == ("stopped", "", "x" * 40)
    assert (reply["usage"]["completion_tokens"], reply["usage"]["reasoning_tokens"]) == (10, 10)


# ── breakers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shown", "breaker"), [("reasoning", "closed"), ("a ping", "closed"), ("headers", "open"), ("nothing", "open")]
)
async def test_only_a_provider_that_shows_no_life_is_left_alone(
    new_api: NewApi, stack: LocalSupabase, thinker: Thinker, shown: str, breaker: str
) -> None:
    """Turns of several users that time out at once."""
    others = dict.fromkeys(("ANTHROPIC_API_KEY", "GOOGLE_AI_API_KEY", "OLLAMA_BASE_URL"), "")
    person = await sign_up(stack)
    async with (
        new_api(FIRST_TOKEN_TIMEOUT_SECONDS="3", **others) as api,
        person_client(api, person) as client,
    ):
        marker = f"It shows {shown}"

        async def timed_out(number: int) -> None:
            turn = asyncio.create_task(reply_to(client, await new_conversation(client), marker))
            call = await thinker.call(OPENAI, marker, number)
            if shown != "nothing":
                call.start()
            if shown == "reasoning":
                call.think("Hm. ")
            elif shown == "a ping":
                call.ping()
            reply = await turn
            assert (reply["status"], reply["error_code"]) == ("failed", "provider_unavailable")

        await asyncio.gather(*(timed_out(number) for number in range(1, LEAST_CALLS + 1)))
        asked = thinker.calls(marker)[0].exchange.json["model"]
        models = (await client.get("/v1/models")).json()["items"]
        assert next(model["breaker"] for model in models if model["model"] == asked) == breaker
        if breaker == "closed":
            turn = asyncio.create_task(reply_to(client, await new_conversation(client), marker))
            call = await thinker.call(OPENAI, marker, LEAST_CALLS + 1)
            call.start()
            call.say("42")
            call.end()
            assert (await turn)["content"] == "42"
