"""What a server refuses by name is left out, in this call and in the next ones to that model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import ContentFiltered, ContextTooLong, ProviderError, RequestRefused, ServerError
from app.values import ChatRequest, Message, ProviderName, ReasoningEffort
from tests.contract.conftest import collect, served
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES, sse

pytestmark = pytest.mark.usefixtures("default_log")

HI = (Message("system", "Be brief."), Message("user", "Hi"))


def present(body: Any, path: str) -> bool:
    """Whether `body` has something at `path`, `=` before the value that it must be."""
    path, _, value = path.partition("=")
    for name in path.split("."):
        if not isinstance(body, dict) or name not in body:
            return False
        body = body[name]
    return not value or str(body) == value


REFUSALS: list[tuple[str, str, str, ReasoningEffort | None, int, object]] = [
    # adapter, model, what is refused, the effort asked for, status and body of the refusal
    (
        "openai",
        "m",
        "stream_options",
        None,
        400,
        {
            "error": {
                "message": "Unrecognized request argument supplied: stream_options",
                "type": "invalid_request_error",
            }
        },
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        400,
        {
            "object": "error",
            "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), "
            "'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}]",
            "code": 400,
        },
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        422,
        {
            "detail": [
                {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}
            ]
        },
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        422,
        {
            "object": "error",
            "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "no extra"}]},
            "type": "invalid_request_error",
        },
    ),
    ("openai", "m", "stream_options", None, 400, "extra fields not permitted: stream_options"),
    (
        "openai",
        "m",
        "stream_options",
        None,
        400,
        {"error": {"message": "Additional properties are not allowed ('stream_options' was unexpected)"}},
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        400,
        {"error_code": "BAD_REQUEST", "message": 'Bad request: json: unknown field "stream_options"\n'},
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        500,
        {"error": {"message": "create() got an unexpected keyword argument 'stream_options'", "code": "500"}},
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        422,
        {
            "detail": [
                {
                    "loc": ["body", "stream_options"],
                    "msg": "extra fields not permitted",
                    "type": "value_error.extra",
                }
            ]
        },
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        400,
        {"error": {"message": "参数 stream_options 不支持", "code": "1210"}},
    ),
    (
        "openai",
        "m",
        "stream_options",
        None,
        400,
        {
            "error": {
                "message": "Provider returned error",
                "metadata": {"raw": '{"detail": "Unsupported parameter: stream_options"}'},
            }
        },
    ),
    (
        "openai",
        "x",
        "reasoning_effort",
        "low",
        404,
        {"error": {"message": "No endpoints found that support the reasoning_effort parameter: it is not supported"}},
    ),
    (
        "openai",
        "m",
        "reasoning_effort=none",
        "off",
        400,
        {"error": {"message": "`reasoning_effort` must be one of `low`, `medium`, or `high`", "code": "invalid_value"}},
    ),
    (
        "openai",
        "m",
        "stream=True",
        None,
        400,
        {"error": {"message": "This model does not support streaming.", "type": "invalid_request_error"}},
    ),
    ("openai", "m", "stream_options", None, 500, {"error": "unknown field `stream_options`, expected one of `model`"}),
    (
        "openai",
        "m",
        "max_tokens",
        None,
        400,
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            }
        },
    ),
    (
        "openai",
        "grok-4",
        "reasoning_effort",
        "low",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "Model grok-4 does not support parameter reasoningEffort.",
        },
    ),
    (
        "openai",
        "m",
        "reasoning_effort=none",
        "off",
        400,
        {
            "error": {
                "message": "Unsupported value: 'none' is not supported with the 'm' model. "
                "Supported values are: 'minimal', 'low', 'medium', and 'high'.",
                "param": "reasoning_effort",
                "code": "unsupported_value",
            }
        },
    ),
    (
        "openai",
        "m",
        "chat_template_kwargs",
        "off",
        400,
        {"error": {"message": "property 'chat_template_kwargs' is unsupported", "type": "invalid_request_error"}},
    ),
    (
        "openai",
        "m",
        "chat_template_kwargs",
        "high",
        400,
        {
            "error": {
                "message": "litellm.UnsupportedParamsError: x does not support parameters: ['chat_template_kwargs']"
            }
        },
    ),
    (
        "claude",
        "claude-opus-4-8",
        "thinking.type=disabled",
        "off",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.',
            },
        },
    ),
    (
        "claude",
        "claude-sonnet-5-5",
        "thinking.display",
        None,
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "thinking.adaptive.display: Extra inputs are not permitted",
            },
        },
    ),
    (
        "claude",
        "claude-opus-4-7",
        "output_config",
        "low",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "This model does not support the effort parameter."},
        },
    ),
    (
        "openai",
        "m",
        "reasoning_effort",
        "low",
        422,
        {"error": "unknown field `reasoning_effort`, expected one of `model`, `stream_options`, `max_tokens`"},
    ),
    ("claude", "local", "thinking", "low", 400, {"error": {"code": 400, "message": "Unknown parameter: thinking"}}),
    (
        "gemini",
        "gemini-2.5-flash-image",
        "generationConfig.thinkingConfig",
        None,
        400,
        {"error": {"code": 400, "message": "Thinking is not enabled for models/x", "status": "INVALID_ARGUMENT"}},
    ),
    (
        "gemini",
        "gemini-3.1-pro",
        "generationConfig.thinkingConfig.thinkingLevel=minimal",
        "off",
        400,
        {"error": {"code": 400, "message": "Thinking level MINIMAL is not supported for this model."}},
    ),
    (
        "gemini",
        "gemini-2.5-pro",
        "generationConfig.thinkingConfig.thinkingBudget=0",
        "off",
        400,
        {"error": {"code": 400, "message": "Budget 0 is invalid. This model only works in thinking mode."}},
    ),
    (
        "gemini",
        "gemini-9",
        "generationConfig.thinkingConfig.thinkingLevel",
        "high",
        400,
        {
            "error": {
                "code": 400,
                "message": 'Invalid JSON payload received. Unknown name "thinkingLevel" at '
                "'generation_config.thinking_config': Cannot find field.",
            }
        },
    ),
    ("ollama", "llama3", "think", "high", 400, {"error": '"llama3" does not support thinking'}),
    (
        "ollama",
        "qwen3",
        "think=high",
        "high",
        400,
        {"error": "json: cannot unmarshal string into Go struct field ChatRequest.think of type bool"},
    ),
]


@pytest.mark.parametrize(("adapter", "model", "refused", "effort", "status", "body"), REFUSALS, indirect=["adapter"])
async def test_what_is_refused_by_name_is_left_out(
    adapter: ProviderName, model: str, refused: str, effort: ReasoningEffort | None, status: int, body: object
) -> None:
    asked: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        if exchange.path in ("/api/show", "/api/ps"):  # how much an Ollama has room for
            exchange.reply(404, b"{}")
            return
        asked.append(exchange.json)
        if present(exchange.json, refused):
            exchange.reply(status, body.encode() if isinstance(body, str) else json.dumps(body).encode())
            return
        exchange.start()
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _):
        for _ in range(2):
            text, finish = await collect(provider, ChatRequest(model, HI, 4000, effort))
            assert (text, finish.reason) == ("token", "stop")

    sent = [present(body, refused) for body in asked]
    assert sent[0]
    assert not any(sent[-2:])
    # the second call asks as the first one did in the end
    assert asked[-1] == asked[-2]


EFFORTS = {
    "openai": ("m", "reasoning_effort"),
    "claude": ("claude-haiku-4-5", "thinking"),
    "gemini": ("gemini-3.8-flash", "thinkingConfig"),
    "ollama": ("qwen3", "think"),
}


@pytest.mark.parametrize(
    "words",
    [
        "Unknown parameter: '{}'.",
        "{}: Extra inputs are not permitted",
        "Additional properties are not allowed ('{}' was unexpected)",
        "{} can only be used with models of the o series",
        "The value of the {} parameter is restricted to True.",
        "No such parameter: {}",
        "{} is disabled for this model",
        "{} is unavailable here",
        "{} is out of range; supported values are integers from 1 to 24576.",
        "Illegal argument: {}",
        "The request was rejected because of {}",
        "This model has no {}",
        "{} exceeds what this model is capable of",
        "{}: disallowed",
    ],
)
async def test_an_effort_is_left_out_however_it_is_refused(adapter: ProviderName, words: str) -> None:
    model, name = EFFORTS[adapter]
    said = words.format(name)
    body = {"error": said if adapter == "ollama" else {"message": said, "type": "invalid_request_error"}}
    asked: list[bool] = []

    async def answer(exchange: Exchange) -> None:
        if exchange.path in ("/api/show", "/api/ps"):
            exchange.reply(404, b"{}")
            return
        asked.append(f'"{name}":' in exchange.body.decode().replace(" ", ""))
        if asked[-1]:
            exchange.reply(400, json.dumps(body).encode())
            return
        exchange.start()
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _):
        for _ in range(2):
            assert (await collect(provider, ChatRequest(model, HI, 4000, "high")))[0] == "token"
    assert asked[0]
    assert not any(asked[-2:])


@pytest.mark.parametrize(
    "words",
    [
        "Unrecognized request argument supplied: max_tokens",
        "max_tokens is not supported with this model. Use max_completion_tokens.",
        "litellm.UnsupportedParamsError: x does not support parameters: ['max_tokens']",
    ],
)
async def test_the_other_name_of_the_limit_is_sent(words: str) -> None:
    async def answer(exchange: Exchange) -> None:
        if "max_tokens" in exchange.json:
            exchange.reply(400, json.dumps({"error": {"message": words}}).encode())
            return
        exchange.start()
        exchange.send(WIRES[ProviderName("openai")].token + WIRES[ProviderName("openai")].ending)

    async with served(ProviderName("openai"), answer) as (provider, upstream):
        await collect(provider, ChatRequest("m", HI, 4000))

    assert upstream.exchanges[-1].json["max_completion_tokens"] == 4000


async def test_default_limit_that_is_too_high() -> None:
    """A limit that nobody asked for is no reason to fail; one that somebody did is."""
    words = "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m"

    async def answer(exchange: Exchange) -> None:
        if exchange.json["max_tokens"] > 8192:
            exchange.reply(400, json.dumps({"error": {"type": "invalid_request_error", "message": words}}).encode())
            return
        exchange.start()
        exchange.send(WIRES[ProviderName("claude")].token + WIRES[ProviderName("claude")].ending)

    async with served(ProviderName("claude"), answer) as (provider, upstream):
        assert (await collect(provider, ChatRequest("m", HI, reasoning="high")))[0] == "token"
        with pytest.raises(RequestRefused):
            await collect(provider, ChatRequest("m", HI, 9000))

    body = upstream.exchanges[1].json
    assert (body["max_tokens"], body["thinking"]) == (4096, {"type": "enabled", "budget_tokens": 2048})


async def test_several_refusals_of_one_request() -> None:
    """As a server does that names one parameter at a time."""
    unknown = ("stream_options", "max_tokens", "max_completion_tokens", "reasoning_effort", "chat_template_kwargs")

    async def answer(exchange: Exchange) -> None:
        names = [name for name in unknown if name in exchange.json]
        if names:
            exchange.reply(400, json.dumps({"error": f"extra fields not permitted: {names[0]}"}).encode())
            return
        exchange.start()
        exchange.send(WIRES[ProviderName("openai")].token + WIRES[ProviderName("openai")].ending)

    async with served(ProviderName("openai"), answer) as (provider, upstream):
        assert (await collect(provider, ChatRequest("m", HI, 4000, "off")))[0] == "token"

    assert upstream.exchanges[-1].json.keys() == {"model", "messages", "stream"}
    assert len(upstream.exchanges) == 6


async def test_another_model_is_asked_as_before() -> None:
    async def answer(exchange: Exchange) -> None:
        if exchange.json["model"] == "old" and "stream_options" in exchange.json:
            exchange.reply(400, b'{"error": "Unrecognized request argument supplied: stream_options"}')
            return
        exchange.start()
        exchange.send(WIRES[ProviderName("openai")].token + WIRES[ProviderName("openai")].ending)

    async with served(ProviderName("openai"), answer) as (provider, upstream):
        for model in ("old", "new"):
            await collect(provider, ChatRequest(model, HI))

    assert "stream_options" in upstream.exchanges[-1].json


async def test_refusal_inside_the_stream() -> None:
    openai = ProviderName("openai")

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        if "stream_options" in exchange.json:
            exchange.send(b": hello\n\n")
            exchange.send(sse({"error": {"message": "stream_options: extra fields not permitted", "code": 400}}))
        else:
            exchange.send(WIRES[openai].token + WIRES[openai].ending)

    async with served(openai, answer) as (provider, upstream):
        text, finish = await collect(provider, ChatRequest("m", HI))

    assert (text, finish.reason, len(upstream.exchanges)) == ("token", "stop", 2)


async def test_what_is_given_up_is_logged() -> None:
    async def answer(exchange: Exchange) -> None:
        if "stream_options" in exchange.json:
            exchange.reply(400, b'{"error": "Unrecognized request argument supplied: stream_options"}')
            return
        exchange.start()
        exchange.send(WIRES[ProviderName("openai")].token + WIRES[ProviderName("openai")].ending)

    async with served(ProviderName("openai"), answer) as (provider, _):
        with capture_logs() as logs:
            for _ in range(2):
                await collect(provider, ChatRequest("m", HI))

    assert [entry for entry in logs if entry["event"] == "provider.parameter_refused"] == [
        {"event": "provider.parameter_refused", "log_level": "info", "model": "m", "parameter": "stream_options"}
    ]


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "max_tokens is too large: 4000. This model supports at most 1000 completion tokens", RequestRefused),
        (400, "max_tokens must be at least 1", RequestRefused),
        (400, "Invalid value for stream", RequestRefused),
        (400, "This model's maximum context length is 100 tokens, max_tokens is not possible", ContextTooLong),
        (400, "stream_options are not for content that violates our usage policy", ContentFiltered),
        (503, "stream_options are not supported while we are down", ServerError),
    ],
)
async def test_other_refusals_are_final(status: int, words: str, kind: type[ProviderError]) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(status, json.dumps({"error": {"message": words}}).encode())

    async with served(ProviderName("openai"), answer) as (provider, upstream):
        with pytest.raises(kind):
            await collect(provider, ChatRequest("m", HI, 4000))

    assert len(upstream.exchanges) == 1


async def test_what_did_not_help_is_not_kept() -> None:
    """A server that refuses whatever is sent has taught nothing."""
    refusing = True

    async def answer(exchange: Exchange) -> None:
        if refusing:
            exchange.reply(400, b'{"error": "stream_options is not supported"}')
            return
        exchange.start()
        exchange.send(WIRES[ProviderName("openai")].token + WIRES[ProviderName("openai")].ending)

    async with served(ProviderName("openai"), answer) as (provider, upstream):
        with pytest.raises(RequestRefused):
            await collect(provider, ChatRequest("m", HI))
        refusing = False
        await collect(provider, ChatRequest("m", HI))

    assert ["stream_options" in exchange.json for exchange in upstream.exchanges] == [True, False, True]


SYSTEM_REFUSED: list[tuple[str, int, object]] = [
    ("openai", 400, {"object": "error", "message": "System role not supported", "code": 400}),
    ("openai", 400, {"error": {"message": "Conversation roles must alternate user/assistant/user/assistant/..."}}),
    ("openai", 500, {"error": {"code": 500, "message": "Only user and assistant roles are supported!"}}),
    (
        "openai",
        500,
        {"error": {"code": 500, "message": "Only user, assistant and tool roles are supported, got system."}},
    ),
    (
        "openai",
        400,
        {
            "error": {
                "message": "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                "code": "unsupported_value",
            }
        },
    ),
    ("openai", 400, {"error": {"message": "messages.0.role: Input should be 'user' or 'assistant'"}}),
    (
        "openai",
        422,
        {
            "detail": [
                {
                    "loc": ["body", "messages", 0, "role"],
                    "msg": "value is not a valid enumeration member; permitted: 'user', 'assistant'",
                    "type": "type_error.enum",
                }
            ]
        },
    ),
    (
        "openai",
        400,
        {"error": {"message": "This model doesn't support system messages. Try again without a system role."}},
    ),
    (
        "openai",
        424,
        {"error": "Template error: System role not supported (in <string>:1)", "error_type": "template_error"},
    ),
    ("claude", 500, {"error": {"code": 500, "message": "System role not supported", "type": "server_error"}}),
    (
        "gemini",
        400,
        {"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it"}},
    ),
    ("ollama", 500, {"error": "template: System role not supported"}),
]


@pytest.mark.parametrize(("adapter", "status", "body"), SYSTEM_REFUSED, indirect=["adapter"])
async def test_system_text_of_a_template_without_it(adapter: ProviderName, status: int, body: object) -> None:
    def has_system(sent: Any) -> bool:
        listed = any(message.get("role") == "system" for message in sent.get("messages", ()))
        return listed or "system" in sent or "systemInstruction" in sent

    async def answer(exchange: Exchange) -> None:
        if has_system(exchange.json):
            exchange.reply(status, json.dumps(body).encode())
            return
        exchange.start()
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, upstream):
        for _ in range(2):
            assert (await collect(provider, ChatRequest("m", HI)))[0] == "token"

    assert [has_system(exchange.json) for exchange in upstream.exchanges] == [True, False, False]
    turns = upstream.exchanges[-1].json
    first = turns["contents"][0]["parts"][0]["text"] if adapter == "gemini" else turns["messages"][0]["content"]
    assert first == "Be brief.\n\nHi"
