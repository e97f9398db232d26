"""What is sent with tools and formats is what each provider's own SDK describes, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import ollama
import pytest
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from google.genai import types
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from app.values import ChatRequest, NamedTool, ProviderName
from tests.contract.conftest import MODEL
from tests.contract.tool_requests import ALL, ASKED, HISTORY, REPLY, SIGNED, sent

REQUESTS: dict[str, ChatRequest] = {
    "tools": ASKED,
    "none": msgspec.structs.replace(ASKED, tool_choice="none"),
    "named": msgspec.structs.replace(ASKED, tool_choice=NamedTool("now")),
    "single": msgspec.structs.replace(ASKED, parallel_tool_calls=False),
    "results": msgspec.structs.replace(ASKED, messages=HISTORY),
    "signed": msgspec.structs.replace(ASKED, messages=SIGNED),
    "object": ChatRequest(MODEL, ASKED.messages, response_format="json_object", sampling=ALL),
    "schema": ChatRequest(MODEL, ASKED.messages, response_format=REPLY, sampling=ALL),
}


def _gemini(body: Any) -> None:
    # the models of the SDK refuse fields that they do not know
    types.GenerationConfig.model_validate(body.pop("generationConfig", {}))
    types.ToolConfig.model_validate(body.pop("toolConfig", {}))
    for tool in body.pop("tools", ()):
        types.Tool.model_validate(tool)
    for content in body.pop("contents"):
        types.Content.model_validate(content)
    assert not body


def _ollama(body: Any) -> None:
    ollama._types.ChatRequest.model_validate(body)


def _typed(adapter: TypeAdapter[Any]) -> Callable[[Any], None]:
    def check(body: Any) -> None:
        _exhaust(adapter.validate_python(body, extra="forbid"))

    return check


def _exhaust(value: Any) -> None:
    """Look at all of it: pydantic validates an iterable when it is iterated."""
    if isinstance(value, dict):
        value = value.values()
    if not isinstance(value, str) and isinstance(value, Iterable):
        for inner in value:
            _exhaust(inner)


CHECKS: dict[str, Callable[[Any], None]] = {
    "openai": _typed(TypeAdapter(CompletionCreateParamsStreaming)),
    "claude": _typed(TypeAdapter(MessageCreateParamsStreaming)),
    "gemini": _gemini,
    "ollama": _ollama,
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_bodies_are_as_the_sdk_describes_them(adapter: ProviderName, request_: ChatRequest) -> None:
    CHECKS[adapter](await sent(adapter, request_))
