"""Tools, the format of the reply and sampling, in the parameters of Gemini."""

from __future__ import annotations

import re
from typing import Any

from app.providers.call_ids import UNSIGNED
from app.providers.dialect import Body, Option, Steps, form
from app.providers.gemini.reasoning import version_of
from app.providers.turns import Result, Turn, arguments_of, json_in
from app.values import ChatRequest, JsonSchema, NamedTool, Tool

PENALTIES = Option(
    "penalties",
    # "Penalty is not enabled for this model"
    re.compile(r"penalty|penalties", re.IGNORECASE),
    re.compile(r"not (enabled|supported|available)|unsupported|unknown", re.IGNORECASE),
)
SEED = Option("seed", re.compile(r"\bseed\b", re.IGNORECASE), re.compile("not|unsupported|unknown", re.IGNORECASE))
SIGNED = Option(
    "thoughtSignature",
    # "Function call is missing a thought_signature in functionCall parts", "Thought signature is not valid"
    re.compile(r"thought\W?_?signature", re.IGNORECASE),
    by_name=True,
    kept=False,
)
"""The signatures that came with the calls; where one is refused or missing, what stands for one; none."""
OPTIONS = (PENALTIES, SEED, SIGNED)

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def contents(turns: list[Turn], model: str, steps: Steps) -> list[dict[str, Any]]:
    """The turns as contents for `model`. The results of tools are a content of their own before the user's text, since
    there must be as many of them as there were calls."""
    given, instead = form(
        steps, SIGNED, ((True, UNSIGNED if version_of(model) >= (3, 0) else None), (False, UNSIGNED), (False, None))
    )
    listed: list[dict[str, Any]] = []
    for turn in turns:
        if turn.results:
            listed.append({"role": "user", "parts": [_result(result) for result in turn.results]})
        parts: list[dict[str, Any]] = [{"text": turn.text}] if turn.text else []
        for place, call in enumerate(turn.calls):
            part: dict[str, Any] = {
                "functionCall": {"id": call.id, "name": call.name, "args": arguments_of(call.arguments)}
            }
            # only the first call of a reply is signed
            if signature := (call.signature if given else None) or (instead if place == 0 else None):
                part["thoughtSignature"] = signature
            parts.append(part)
        if parts:
            listed.append({"role": "model" if turn.speaker == "assistant" else "user", "parts": parts})
    return listed


def parameters(request: ChatRequest) -> Body:
    """The parameters for tools."""
    if not request.tools:
        return {}
    body: Body = {"tools": [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]}
    calling: dict[str, Any] = {}
    if isinstance(request.tool_choice, NamedTool):
        calling = {"mode": "ANY", "allowedFunctionNames": [request.tool_choice.name]}
    elif request.tool_choice is not None:
        calling = {"mode": _MODES[request.tool_choice]}
    if calling:
        body["toolConfig"] = {"functionCallingConfig": calling}
    return body


def generation(request: ChatRequest, steps: Steps) -> dict[str, Any]:
    """The parts of `generationConfig` for the format of the reply and for sampling."""
    sampling = request.sampling
    config: dict[str, Any] = {"temperature": sampling.temperature, "topP": sampling.top_p}
    if form(steps, SEED, (True, False)):
        config["seed"] = sampling.seed
    if form(steps, PENALTIES, (True, False)):
        config |= {"presencePenalty": sampling.presence_penalty, "frequencyPenalty": sampling.frequency_penalty}
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop)
    if request.response_format not in (None, "text"):
        config["responseMimeType"] = "application/json"
    if isinstance(request.response_format, JsonSchema):
        config["responseJsonSchema"] = request.response_format.schema
    return {name: value for name, value in config.items() if value is not None}


def _declaration(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.parameters:
        declared["parametersJsonSchema"] = tool.parameters
    return declared


def _result(result: Result) -> dict[str, Any]:
    value = json_in(result.content)
    output = value if isinstance(value, dict | list) else result.content
    return {"functionResponse": {"id": result.id, "name": result.name, "response": {"output": output}}}
