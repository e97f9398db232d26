"""Parameters: what a request asks for that must not be left out silently, and the refusals that name one of it."""

from __future__ import annotations

import re

from app.errors import (
    ContextTooLong,
    ModelNotFound,
    ParameterRefused,
    ProviderError,
    RequestRefused,
    ServerError,
)
from app.values import ChatRequest

# The words of servers for each parameter, the most special ones first: a refusal of `tool_choice` names tools too.
_WORDS = {
    "tool_choice": re.compile(
        r"tool_?\W?choice|function_?calling_?config|allowed_?function_?names|forc\w+ (a )?tool|tool use is forced",
        re.IGNORECASE,
    ),
    "response_format": re.compile(
        r"response_?\W?(format|mime_?\W?type|json_?schema|schema)|json_?\W?(schema|mode|object|output)"
        r"|structured\W?(output|generation|decoding)|output_(config|format)|\bformat\b|guided|grammar",
        re.IGNORECASE,
    ),
    "stop": re.compile(r"\bstop\b|stop_?\W?(sequence|word|token)", re.IGNORECASE),
    "tools": re.compile(r"\btools?\b|tool_?\W?(use|call|param)|\bfunctions?\b|function_?\W?(call|decl)", re.IGNORECASE),
}
_LACKS = re.compile(r"support|\brequire|not (available|allowed|enabled|implemented)|unavailable", re.IGNORECASE)
"""What else the message of a failure says that is not a plain refusal of the request."""


def binding(request: ChatRequest) -> list[str]:
    """The parameters of `request` without which the reply would not be what was asked for, by OpenAI's names."""
    has = {
        "tool_choice": bool(request.tools) and request.tool_choice not in (None, "auto"),
        "response_format": request.response_format not in (None, "text"),
        "stop": bool(request.sampling.stop),
        "tools": bool(request.tools),
    }
    return [name for name in _WORDS if has[name]]


def refusal(parameter: str, why: str, *, provider: str, model: str) -> ParameterRefused:
    """The error for a provider whose API lacks `parameter`."""
    error = ParameterRefused(f"{parameter}: {why}", provider=provider, model=model)
    error.parameter = parameter
    error.sent = False
    return error


def named_refusal(error: ProviderError, request: ChatRequest) -> ProviderError:
    """`error` as a `ParameterRefused`, if its words name a parameter of `request` that must not be left out."""
    plain = isinstance(error, RequestRefused) and not isinstance(error, ContextTooLong | ParameterRefused)
    # OpenRouter answers 404 when no server of the model has a parameter, and llama.cpp 500
    lacks = isinstance(error, ModelNotFound | ServerError) and (error.status or 600) <= 501
    if not plain and not (lacks and _LACKS.search(error.words)):
        return error
    for name in binding(request):
        if _WORDS[name].search(error.words):
            refused = ParameterRefused(str(error), provider=error.provider, model=error.model, status=error.status)
            refused.parameter, refused.words = name, error.words
            return refused
    return error
