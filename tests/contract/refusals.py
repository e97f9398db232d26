"""Refusals of one request: too long, flagged or oversized, in the words of real servers."""

from __future__ import annotations

import json

import pytest

from app.values import ProviderName
from tests.support.wires import WIRES, sse

USERS = 4


def error(**fields: object) -> bytes:
    return json.dumps({"error": fields}).encode()


Refusal = tuple[int, bytes]

TOO_LONG: dict[ProviderName, list[Refusal]] = {
    "openai": [
        (400, error(code="context_length_exceeded", message="This model's maximum context length is 8192 tokens.")),
        (400, error(code=400, type="exceed_context_size_error", message="request (9000 tokens) exceeds the available "
                    "context size (1024 tokens)", n_prompt_tokens=9000, n_ctx=1024)),
        (500, error(message="Context size has been exceeded.", type="server_error")),
        (200, sse({"error": {"message": "Context size has been exceeded.", "type": "server_error", "code": 500}})),
        # a rate limit that this one request exceeds by itself
        (429, error(message="Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 50000.",
                    type="tokens", code="rate_limit_exceeded")),
        # OpenRouter's, for its own account and for a provider behind it
        (402, error(code=402, message="Prompt tokens limit exceeded: 15000 > 8421. To increase, visit settings/keys")),
        (402, error(code=402, message="This request requires more credits, or fewer max_tokens. You requested up to "
                    "64000 tokens, but can only afford 30104.")),
        (400, error(code=400, message="Provider returned error", metadata={"provider_name": "x", "raw": json.dumps(
            {"error": {"message": "This model's maximum context length is 8192 tokens."}})})),
        # TGI's inside a stream, FastChat's with 200
        (200, sse({"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000 "
                            "`inputs` tokens and 20 `max_new_tokens`", "error_type": "validation"})),
        (200, json.dumps({"object": "error", "message": "This model's maximum context length is 2048 tokens. However, "
                          "you requested 9000 tokens", "code": 40303}).encode()),
        # TGI's own, LM Studio's, and a gateway's that passes one on as trouble of the server behind it
        (422, b'{"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000 '
              b'`inputs` tokens and 512 `max_new_tokens`", "error_type": "validation"}'),
        (200, b'event: error\ndata: {"error": {"message": "The number of tokens to keep from the initial prompt is '
              b'greater than the context length (n_keep: 5012>= n_ctx: 4096)."}}\n\n'),
        (200, sse({"choices": [{"delta": {"content": ""}, "error": {"code": 502, "message": "Provider returned error",
                   "metadata": {"raw": "Input is too long for requested model."}}}]})),
        # a reply that has no room
        (200, sse({"choices": [{"delta": {}, "finish_reason": "length"}],
                   "usage": {"prompt_tokens": 4096, "completion_tokens": 0}}) + b"data: [DONE]\n\n"),
        # what a model makes of some requests, and a firewall of others
        (400, error(message="Tool choice is none, but model called a tool", code="tool_use_failed")),
        (403, b"<html><title>Attention Required! | Cloudflare</title>Sorry, you have been blocked</html>"),
        (422, b'{"detail": [{"loc": ["body", "messages"], "msg": "String should have at most 9 characters"}]}'),
    ],
    "claude": [
        (400, error(type="invalid_request_error", message="prompt is too long: 210000 tokens > 200000 maximum")),
        (400, error(code=400, type="exceed_context_size_error", message="request (9000 tokens) exceeds the available "
                    "context size (1024 tokens)")),
        (200, sse({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}},
                  name=True)),
        (429, error(type="rate_limit_error", message="Extra usage is required for long context requests.")),
        (413, error(type="request_too_large", message="Request exceeds the maximum size")),
    ],
    "gemini": [
        (400, error(code=400, status="INVALID_ARGUMENT", message="The input token count (1200000) exceeds the maximum "
                    "number of tokens allowed (1048576).")),
        (400, error(code=400, status="INVALID_ARGUMENT", message="Request payload size exceeds the limit: 20971520 "
                    "bytes.")),
        (200, sse({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]})),
        (200, sse({"candidates": [{"finishReason": "OTHER"}]})),
    ],
    "ollama": [
        (400, b'{"error": "the input length exceeds the context length"}'),
        (500, b'{"error": "input is too large to process. increase the physical batch size"}'),
        (200, b'{"error": "prompt too long; exceeded max context length by 9 tokens"}\n'),
    ],
}  # fmt: skip
FLAGGED: dict[ProviderName, list[Refusal]] = {
    "openai": [
        (400, error(code="content_filter", message="The response was filtered")),
        (400, error(code="invalid_prompt", message="Invalid prompt: your prompt was flagged")),
        (403, error(code=403, message='It requires moderation. Your input was flagged for "violence".')),
        (400, error(message="Content Exists Risk", type="invalid_request_error")),
        (200, WIRES["openai"].filtered),
        (
            200,
            json.dumps(
                {"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}
            ).encode(),
        ),
        (
            400,
            error(
                code="1301",
                message="系统检测到输入或生成内容可能包含不安全或敏感内容",
            ),
        ),
        (400, error(code="data_inspection_failed", message="Output data may contain inappropriate content.")),
        (
            400,
            error(
                code=400,
                message="Provider returned error",
                metadata={
                    "raw": json.dumps(
                        {
                            "error": {
                                "code": "content_filter",
                                "message": "The response was filtered due to the prompt triggering Azure OpenAI's "
                                "content management policy.",
                            }
                        }
                    )
                },
            ),
        ),
        (
            200,
            sse(
                {"choices": [{"index": 0, "delta": {"refusal": "I cannot help with that."}}]},
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            ),
        ),
        (200, sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "sensitive"}]})),
    ],
    "claude": [
        (400, error(type="invalid_request_error", message="Output blocked by content filtering policy")),
        (200, WIRES["claude"].opening + WIRES["claude"].filtered),
    ],
    "gemini": [
        (200, sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})),
        (200, WIRES["gemini"].filtered),
        (200, sse({"candidates": [{"finishReason": "RECITATION"}]})),
        (200, sse({"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"promptTokenCount": 9}})),
    ],
    "ollama": [(400, b'{"error": "your request was blocked by a guardrail"}')],
}
OVERSIZED: list[Refusal] = [(413, b"<html>413 Request Entity Too Large</html>"), (413, error(message="too much"))]
CASES = [
    pytest.param(adapter, kind, refusal, id=f"{adapter}-{kind}-{number}")
    for adapter in WIRES
    for kind, refusals in (("too long", TOO_LONG[adapter]), ("flagged", FLAGGED[adapter]), ("oversized", OVERSIZED))
    for number, refusal in enumerate(refusals)
]
