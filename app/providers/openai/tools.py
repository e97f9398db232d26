"""Tools, the format of the reply and sampling, in the parameters of OpenAI and compatible servers."""

from __future__ import annotations

import re
from typing import Any

from app.providers.call_ids import UNSIGNED, Accepts, anything, forty, nine
from app.providers.dialect import Body, Option, Steps, form
from app.providers.turns import Call, Result, Turn
from app.values import ChatRequest, JsonSchema, NamedTool, Tool

# only refusals of the parameter: a value that one user chose wrongly must not take it from all others
_LACKS = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|extra|deprecated|incompatible|cannot|only the default"
    r"|not (permitted|allowed|available|enabled)",
    re.IGNORECASE,
)

SAMPLING = tuple(
    Option(name, re.compile(words, re.IGNORECASE), _LACKS)
    for name, words in {
        "temperature": "temperature",
        "top_p": r"top_?p\b",
        "seed": r"\bseed\b",
        "presence_penalty": "presence_?penalty",
        "frequency_penalty": "frequency_?penalty",
        "parallel_tool_calls": "parallel_?tool_?calls|disable_parallel",
    }.items()
)
"""Parts that a model may lack without the reply being another one. That a reply has one tool call at most is kept
without the parameter, see `Asked`."""

IDS = Option(
    "tool_call_id",
    # Mistral: "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
    re.compile(r"tool[_ ]?call[_ ]?ids?\b.*(length|characters|must be|invalid)", re.IGNORECASE | re.DOTALL),
    by_name=True,
)
REASONED = Option(
    "reasoning_content",
    # DeepSeek and Moonshot, of a message with tool calls
    re.compile("reasoning_content", re.IGNORECASE),
    re.compile(r"missing|must be|required|passed back", re.IGNORECASE),
)
BETWEEN = Option(
    "user after tool",
    # Mistral: "Unexpected role 'user' after role 'tool'"
    re.compile(r"role \W?user\W? after role \W?tool", re.IGNORECASE),
    by_name=True,
)
OPTIONS = (*SAMPLING, IDS, REASONED, BETWEEN)

ACKNOWLEDGED = "OK"
"""What the assistant says between a tool's result and the user's next message, for servers that demand it."""

_GOOGLE = "generativelanguage.googleapis.com"
_SIGNING = re.compile(r"gemini-([3-9]|\d\d)")
"""The models that refuse a call without a signature."""


def accepted_ids(steps: Steps, *, own: bool) -> Accepts:
    """The ids of tool calls to send. `own`: the server is OpenAI's."""
    return form(steps, IDS, (forty if own else anything, nine))


def acknowledged(turns: list[Turn], steps: Steps) -> list[Turn]:
    """`turns`, with a message of the assistant between a result and the user's text if the server demands it."""
    if not form(steps, BETWEEN, (False, True)):
        return turns
    parted: list[Turn] = []
    for turn in turns:
        if turn.results and turn.text:
            parted += [Turn("user", results=turn.results), Turn("assistant", ACKNOWLEDGED), Turn("user", turn.text)]
        else:
            parted.append(turn)
    return parted


def called(turn: Turn, host: str, model: str, steps: Steps) -> dict[str, Any]:
    """What a message with tool calls has beside its text."""
    calls = [_call(call) for call in turn.calls]
    if host == _GOOGLE:
        for place, (made, call) in enumerate(zip(calls, turn.calls, strict=True)):
            instead = UNSIGNED if place == 0 and _SIGNING.search(model) else None
            if signature := call.signature or instead:
                made["extra_content"] = {"google": {"thought_signature": signature}}
    more: dict[str, Any] = {"tool_calls": calls}
    if form(steps, REASONED, (False, True)):
        more["reasoning_content"] = turn.reasoning
    return more


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def result(result: Result) -> dict[str, Any]:
    """The message with the result of a tool call."""
    return {"role": "tool", "tool_call_id": result.id, "content": result.content}


def parameters(request: ChatRequest, steps: Steps) -> Body:
    """The parameters for tools, the format of the reply and sampling."""
    body: Body = {}
    if request.tools:
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
        if isinstance(request.tool_choice, NamedTool):
            body["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.name}}
        elif request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
    match request.response_format:
        case JsonSchema(name, schema, description, strict):
            described = {"name": name, "schema": schema, "description": description, "strict": strict}
            body["response_format"] = {"type": "json_schema", "json_schema": _without_none(described)}
        case "json_object":
            body["response_format"] = {"type": "json_object"}
    if request.sampling.stop:
        body["stop"] = list(request.sampling.stop)
    for option in SAMPLING:
        if option.name == "parallel_tool_calls":
            value = request.parallel_tool_calls if request.tools else None
        else:
            value = getattr(request.sampling, option.name)
        if value is not None and form(steps, option, (True, False)):
            body[option.name] = value
    return body


def signature_in(extra: object) -> object:
    """The signature that Gemini's OpenAI-compatible API puts beside a call."""
    google = extra.get("google") if isinstance(extra, dict) else None
    return google.get("thought_signature") if isinstance(google, dict) else None


def _function(tool: Tool) -> dict[str, Any]:
    described = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return _without_none(described)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
