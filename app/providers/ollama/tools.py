"""Tools, the format of the reply and sampling, in the parameters of Ollama."""

from __future__ import annotations

from typing import Any

import msgspec

from app.errors import ParameterRefused
from app.providers.dialect import Body
from app.providers.ollama.description import NAME
from app.providers.parameters import refusal
from app.providers.turns import Result, Turn, arguments_of
from app.providers.wire.calls import Asked, asked_of
from app.values import ChatRequest, JsonSchema, NamedTool, Tool

_ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def asked(request: ChatRequest) -> Asked:
    """What `request` lets the model write."""
    tools = _choosable(request)
    return msgspec.structs.replace(asked_of(request), as_call=tools[0].name) if len(tools) == 1 else asked_of(request)


def _choosable(request: ChatRequest) -> list[Tool]:
    """The tools of which the model has to call one; none when it need not. Ollama has no `tool_choice`, so the
    arguments of a tool that must be called are asked for as the format of the reply."""
    match request.tool_choice:
        case NamedTool(name):
            return [tool for tool in request.tools if tool.name == name]
        case "required":
            return list(request.tools)
        case _:
            return []


def _check(request: ChatRequest) -> None:
    """Raises `ParameterRefused` for what cannot be had in this way."""
    forced = request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)
    if request.tools and forced and len(_choosable(request)) != 1:
        raise _refused(request, "tool_choice", "a model can be made to call one tool, not one of several")
    callable_ = request.tools and not forced and request.tool_choice != "none"
    if callable_ and request.response_format not in (None, "text"):
        raise _refused(request, "response_format", "it would keep the model from calling a tool")


def called(turn: Turn) -> dict[str, Any]:
    """What a message with tool calls has beside its text."""
    return {
        "tool_calls": [
            {"id": call.id, "function": {"name": call.name, "arguments": arguments_of(call.arguments)}}
            for call in turn.calls
        ]
    }


def result(result: Result) -> dict[str, Any]:
    """The message with the result of a tool call. Versions before 0.12 know the name only, later ones the id too."""
    return {"role": "tool", "tool_name": result.name, "tool_call_id": result.id, "content": result.content}


def parameters(request: ChatRequest) -> Body:
    """The parameters for tools and for the format of the reply. A model that must not call a tool gets none. Raises
    `ParameterRefused`."""
    _check(request)
    if tools := _choosable(request):
        return {"format": tools[0].parameters or _ANY_OBJECT}
    body: Body = {}
    if request.tools and request.tool_choice != "none":
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
    match request.response_format:
        case JsonSchema(_, schema):
            body["format"] = schema
        case "json_object":
            body["format"] = "json"
    return body


def options(request: ChatRequest) -> dict[str, Any]:
    """The `options` for sampling and for the limit of the reply."""
    sampling = request.sampling
    values = {
        "num_predict": request.max_tokens,
        "stop": list(sampling.stop) or None,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    return {name: value for name, value in values.items() if value is not None}


def _function(tool: Tool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": tool.parameters or _ANY_OBJECT}
    return {name: value for name, value in described.items() if value is not None}


def _refused(request: ChatRequest, parameter: str, why: str) -> ParameterRefused:
    return refusal(parameter, why, provider=NAME, model=request.model)
