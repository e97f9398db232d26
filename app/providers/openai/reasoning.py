"""Reasoning effort for OpenAI and compatible servers, in the parameters that each of them has."""

from __future__ import annotations

import re

from app.providers.dialect import Body, Efforts, Option, Steps, form, per_effort
from app.values import ReasoningEffort

EFFORTS = per_effort("reasoning|effort", by_value=True)
EFFORTS_BESIDE_TOOLS = per_effort("reasoning|effort", by_value=True, beside=" beside tools")
"""The same for requests with tools: some of OpenAI's models think, and call tools, but not both."""
TEMPLATE = Option("chat_template_kwargs", re.compile("chat_?template|enable_thinking", re.IGNORECASE), by_name=True)
SWITCH = Option("thinking", re.compile("thinking", re.IGNORECASE), by_name=True)

_HOSTS = {
    "api.deepseek.com": "thinking",
    "api.z.ai": "thinking",
    "open.bigmodel.cn": "thinking",
    "api.moonshot.ai": "thinking",
    "api.moonshot.cn": "thinking",
    "dashscope.aliyuncs.com": "enable_thinking",
    "dashscope-intl.aliyuncs.com": "enable_thinking",
    "openrouter.ai": "reasoning",
}
"""Hosts with a parameter of their own for it."""

# OpenAI's models that never think, and older ones that do: https://developers.openai.com/api/docs/guides/reasoning
_THOUGHTLESS = re.compile("gpt-[34]|chatgpt")
_OLDER = re.compile(r"o\d")
_FIFTH = re.compile(r"gpt-5(?!\.)")


def reasoning_of(effort: ReasoningEffort, model: str, host: str, efforts: Efforts, steps: Steps, *, own: bool) -> Body:
    """The parameters for `effort` at `host`, in the best form of `efforts` not refused yet. `own`: it is OpenAI's."""
    on = effort != "off"
    parameters: Body
    match _HOSTS.get(host):
        case "thinking":
            parameters = {"thinking": form(steps, SWITCH, ({"type": "enabled" if on else "disabled"}, None))}
        case "enable_thinking":
            parameters = {"enable_thinking": form(steps, SWITCH, (on, None))}
        case "reasoning":
            objects = [{"effort": value} for value in _values(effort, model)]
            parameters = {"reasoning": form(steps, efforts[effort], (*objects, None))}
        case _ if own:
            values = () if _THOUGHTLESS.match(model) else _values(effort, model)
            parameters = {"reasoning_effort": form(steps, efforts[effort], (*values, None))}
        case _:
            # vLLM, SGLang and llama.cpp pass this to the model's template; Qwen's and DeepSeek's have these switches
            template = {"enable_thinking": on, "thinking": on}
            parameters = {
                "reasoning_effort": form(steps, efforts[effort], (*_values(effort, model), None)),
                "chat_template_kwargs": form(steps, TEMPLATE, (template, None)),
            }
    return {name: value for name, value in parameters.items() if value is not None}


def _values(effort: ReasoningEffort, model: str) -> tuple[str, ...]:
    """The values for `effort`, the best first."""
    if effort != "off":
        return (effort,)
    if _OLDER.match(model):
        return ("low",)
    return ("minimal", "low") if _FIFTH.match(model) else ("none", "minimal", "low")
