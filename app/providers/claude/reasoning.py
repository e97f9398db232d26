"""Reasoning effort for Claude, in the parameters of each model generation."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from app.providers.dialect import Body, Efforts, Option, Steps, form, per_effort
from app.values import ReasoningEffort

Beside = Literal["nothing", "tools", "forced"]
"""What else is in a request: nothing that matters here, tools, or tools of which the model has to call one."""

_WORDS = "thinking|effort|output_config|adaptive|between_tools"
EFFORTS: dict[Beside, Efforts] = {
    "nothing": per_effort(_WORDS),
    "tools": per_effort(_WORDS, beside=" beside tools"),
    "forced": per_effort(_WORDS, beside=" beside forced tools"),
}
LIMIT = Option("max_tokens", re.compile("max_tokens"), re.compile("maximum|exceed|too |at most|less than|>"))

DEFAULT_MAX_TOKENS = 4096
"""The limit when none is asked for, since Anthropic requires one. All its models can write this much."""
THINKING_MAX_TOKENS = 32_000
"""The same for a model that thinks, since thinking counts too. All its models that can think can write this much."""
LEAST_BUDGET = 1024
"""Tokens. Anthropic refuses a smaller budget."""

_BUDGETS: dict[ReasoningEffort, int] = {"low": 2048, "medium": 8192, "high": 16_384}
# claude-sonnet-5-5, claude-3-7-sonnet-20250219, anthropic.claude-opus-4-6-v1, anthropic/claude-haiku-4.5
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d)(?:[-.](\d{1,2})(?!\d))?")
_ADAPTIVE = (4, 6)
"""The first version that decides itself when to think. Those before it have a budget."""
_ALWAYS = re.compile(r"claude-(fable|mythos)|claude-opus-5[-.][5-9]")


class _Form(msgspec.Struct, frozen=True):
    """One form of the parameters."""

    thinking: dict[str, Any] | None = None
    effort: str | None = None


_NOTHING = _Form()
_OFF = _Form({"type": "disabled"})
_BETWEEN_TOOLS = _Form({"type": "between_tools"})
_LEAST = _Form({"type": "adaptive"}, "low")
# newer models show their thinking only when they are asked for a summary
_SHOWN = {"type": "adaptive", "display": "summarized"}


def reasoning_of(
    effort: ReasoningEffort | None,
    model: str,
    max_tokens: int | None,
    steps: Steps,
    beside: Beside = "nothing",
    *,
    answers: bool = False,
) -> Body:
    """The parameters for `effort`, in the best form that `model` has not refused, and `max_tokens`. `answers`: the
    request ends with the results of tools."""
    version = _version(model)
    most = max_tokens or form(steps, LIMIT, (THINKING_MAX_TOKENS, DEFAULT_MAX_TOKENS))
    forms = _forms(effort, model, version, most)
    if effort is not None and version < _ADAPTIVE and (beside == "forced" or answers):
        # with a budget the model must not be made to call a tool, and wants its thinking back before a tool's result
        forms = _forms("off", model, version, most)
    elif beside == "forced" and forms[0] != _NOTHING:
        forms = (forms[0], *_forms("off", model, version, most))
    chosen = form(steps, EFFORTS[beside][effort], forms)
    thinks = version >= (5, 5) or (chosen.thinking is not None and chosen not in (_OFF, _BETWEEN_TOOLS))
    parameters: Body = {"max_tokens": max_tokens or (most if thinks else DEFAULT_MAX_TOKENS)}
    if chosen.thinking is not None:
        parameters["thinking"] = chosen.thinking
    if chosen.effort is not None:
        parameters["output_config"] = {"effort": chosen.effort}
    return parameters


def with_format(parameters: Body, output_format: dict[str, Any]) -> Body:
    """`parameters` with the format of the reply, which stands beside the effort."""
    config = parameters.get("output_config")
    return {**parameters, "output_config": {**(config if isinstance(config, dict) else {}), "format": output_format}}


def _version(model: str) -> tuple[int, int]:
    """The version in a model's name; (0, 0) for a model that is not Anthropic's."""
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _forms(effort: ReasoningEffort | None, model: str, version: tuple[int, int], max_tokens: int) -> tuple[_Form, ...]:
    """The forms of `effort`, the best first. https://platform.claude.com/docs/en/build-with-claude/thinking"""
    known = version > (0, 0)
    if known and version < (3, 7):
        return (_NOTHING,)
    if effort is None:
        # the model decides; from version 5.5 on it thinks without being asked, so ask it to show a summary
        return (_Form(_SHOWN), _NOTHING) if version >= (5, 5) or _ALWAYS.search(model) else (_NOTHING,)
    if effort == "off":
        if _ALWAYS.search(model):
            return (_LEAST, _NOTHING)
        if version < _ADAPTIVE:
            return (_OFF, _NOTHING)
        if "sonnet" in model and version >= (5, 5):
            return (_BETWEEN_TOOLS, _LEAST, _NOTHING)
        return (_OFF, _BETWEEN_TOOLS, _LEAST, _NOTHING)
    if version >= _ADAPTIVE:
        return (_Form(_SHOWN, effort), _Form({"type": "adaptive"}, effort), _Form({"type": "adaptive"}), _NOTHING)
    budget = min(_BUDGETS[effort], max_tokens // 2)
    if budget < LEAST_BUDGET:
        return (_NOTHING,)
    return (_Form({"type": "enabled", "budget_tokens": budget}), _NOTHING)
