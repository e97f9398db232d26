"""Tools, the format of the reply and sampling, in the parameters of Ollama."""

from __future__ import annotations

from typing import Any

import msgspec

from app.providers.dialect import Body
from app.providers.ollama.description import NAME
from app.providers.parameters import refusal
from app.providers.turns import Result, Turn, arguments_of
from app.providers.wire.calls import Asked, asked_of
from app.values import ChatRequest, JsonSchema, NamedTool, Tool

_ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def asked(request: ChatRequest) -> Asked:
    """What `request` lets the model write."""
    tool = forced(request)
    return asked_of(request) if tool is None else msgspec.structs.replace(asked_of(request), as_call=tool.name)


def forced(request: ChatRequest) -> Tool | None:
    """The tool that the model has to call. Ollama has no `tool_choice`, so its arguments are asked for as the format of
    the reply. Raises `ParameterRefused` for what cannot be had in that way."""
    choice = request.tool_choice if request.tools else None
    named = choice.name if isinstance(choice, NamedTool) else None
    if named is None and choice != "required":
        if request.tools and choice != "none" and request.response_format not in (None, "text"):
            raise _refused(request, "response_format", "it would keep the model from calling a tool")
        return None
    tools = [tool for tool in request.tools if named in (None, tool.name)]
    if len(tools) != 1:
        raise _refused(request, "tool_choice", "a model can be made to call one tool, not one of several")
    return tools[0]


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
    """The parameters for tools and for the format of the reply. A model that must not call a tool gets none."""
    tool = forced(request)
    if tool is not None:
        return {"format": tool.parameters or _ANY_OBJECT}
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


def _refused(request: ChatRequest, parameter: str, why: str) -> Exception:
    return refusal(parameter, why, provider=NAME, model=request.model)
