"""Parameters: what a request asks for that must not be left out silently, and the refusals that name one of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
MOST_NESTED = 200
"""Objects and lists within each other: Python encodes about 900, and nobody's schema has a tenth of this."""
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


def has_structure(request: ChatRequest) -> bool:
    """Whether `request` has more than text: schemas, or arguments of calls."""
    return bool(request.tools or request.response_format) or any(message.tool_calls for message in request.messages)


def check_depth(body: object, request: ChatRequest, provider: str) -> None:
    """Raises `RequestRefused` when `body`, made of `request`, is nested so deeply that encoding it could fail."""
    level: list[object] = [body]
    for _ in range(MOST_NESTED):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    said = f"the request is nested more than {MOST_NESTED} times"
    if parameters := [name for name in binding(request) if name in ("tools", "response_format")]:
        raise refusal(parameters[0], said, provider=provider, model=request.model)
    raise RequestRefused(said, provider=provider, model=request.model)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


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
