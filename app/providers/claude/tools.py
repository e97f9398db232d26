"""Tools, the format of the reply and sampling, in the parameters of Claude."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from app.providers.claude.schemas import closed
from app.providers.dialect import Body, Option, Steps, form
from app.providers.turns import Turn, arguments_of, json_in
from app.providers.wire.calls import Asked, asked_of
from app.values import ChatRequest, JsonSchema, NamedTool, Tool

FORMAT = Option(
    "output_config.format",
    re.compile(r"output_config\W{0,3}format|output_?format|structured output|additionalProperties", re.IGNORECASE),
    by_name=True,
    kept=False,
)
"""Models before 4.5 have no structured output: they get a tool whose arguments are the reply."""
STRICT = Option("strict", re.compile(r"\bstrict\b", re.IGNORECASE), by_name=True, kept=False)
OPTIONS = (FORMAT, STRICT)

REPLY_TOOL = "json_reply"
"""The tool whose arguments are the reply."""
_REPLY_WORDS = "Give your reply with this tool."

_FORCING = ("any", "tool")
_ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def asked(request: ChatRequest) -> Asked:
    """What `request` lets the model write."""
    plain = asked_of(request)
    if request.response_format in (None, "text"):
        return plain
    return msgspec.structs.replace(plain, as_text=REPLY_TOOL)


def content(turn: Turn) -> str | list[dict[str, Any]]:
    """What the message of a turn contains: text, tool calls, and their results, which come first."""
    if not (turn.calls or turn.results):
        return turn.text
    blocks: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": result.id, "content": result.content} for result in turn.results
    ]
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    return blocks + [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)} for call in turn.calls
    ]


def forces(body: Body) -> bool:
    """Whether `body` has a choice that makes the model call a tool."""
    choice = body.get("tool_choice")
    return isinstance(choice, dict) and choice["type"] in _FORCING


def parameters(request: ChatRequest, turns: list[Turn], steps: Steps) -> Body:
    """The parameters for tools and for texts at which the reply ends. Claude has no other parameters for sampling, and
    the format of the reply is in `output_config`."""
    body: Body = {}
    tools = [_tool(tool, steps) for tool in request.tools]
    choice = _choice(request)
    must_call = choice is not None and choice["type"] in _FORCING
    if not must_call and (reply := _reply_tool(request, steps)):
        may_call = tools and request.tool_choice != "none"
        choice = {"type": "any"} if may_call else {"type": "tool", "name": REPLY_TOOL}
        tools.append(reply)
    if not tools and (names := dict.fromkeys(call.name for turn in turns for call in turn.calls)):
        # a conversation with calls needs tools, even if the model must not call one any more
        tools = [{"name": name, "input_schema": _ANY_OBJECT} for name in names]
        choice = {"type": "none"}
    if tools:
        body["tools"] = tools
    if choice is not None:
        if request.parallel_tool_calls is False and choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
        body["tool_choice"] = choice
    if request.sampling.stop:
        body["stop_sequences"] = list(request.sampling.stop)
    return body


def output_format(request: ChatRequest, steps: Steps) -> dict[str, Any] | None:
    """The structured output; None when the reply has none, or is the arguments of a tool."""
    wanted = request.response_format
    if not isinstance(wanted, JsonSchema) or not form(steps, FORMAT, (True, False)):
        return None
    schema = closed(wanted.schema)
    return None if schema is None else {"type": "json_schema", "schema": schema}


def _reply_tool(request: ChatRequest, steps: Steps) -> dict[str, Any] | None:
    wanted = request.response_format
    if wanted in (None, "text") or output_format(request, steps) is not None:
        return None
    if not isinstance(wanted, JsonSchema):
        return {"name": REPLY_TOOL, "description": _REPLY_WORDS, "input_schema": _ANY_OBJECT}
    description = f"{wanted.description}\n\n{_REPLY_WORDS}" if wanted.description else _REPLY_WORDS
    return {"name": REPLY_TOOL, "description": description, "input_schema": _object(wanted.schema)}


def _choice(request: ChatRequest) -> dict[str, Any] | None:
    if not request.tools:
        return None
    match request.tool_choice:
        case NamedTool(name):
            return {"type": "tool", "name": name}
        case "required":
            return {"type": "any"}
        case None:
            return {"type": "auto"} if request.parallel_tool_calls is False else None
        case other:
            return {"type": other}


def _tool(tool: Tool, steps: Steps) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tool.name, "input_schema": _object(tool.parameters or {})}
    if tool.description:
        described["description"] = tool.description
    if tool.strict and form(steps, STRICT, (True, False)) and (schema := closed(tool.parameters or {})):
        described |= {"input_schema": schema, "strict": True}
    return described


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with the type that Claude demands."""
    return {**_ANY_OBJECT, **schema} if "type" not in schema else schema


def _input(arguments: str) -> Any:
    """The arguments as an object, in the very words of the model if they are one."""
    if isinstance(json_in(arguments), dict):
        return msgspec.Raw(arguments.encode())
    return arguments_of(arguments)
