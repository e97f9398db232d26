"""Reasoning effort for Gemini, in the parameters of each model generation."""

from __future__ import annotations

import re
from typing import Any

from app.providers.dialect import Steps, form, per_effort
from app.values import ReasoningEffort

EFFORTS = per_effort("think|include_?thoughts")

LEAST_BUDGET = 128
"""Tokens. Models that cannot switch thinking off accept no smaller budget."""

# The same budgets as in Google's OpenAI-compatible API: https://ai.google.dev/gemini-api/docs/openai#thinking
_BUDGETS: dict[ReasoningEffort, int] = {"low": 1024, "medium": 8192, "high": 24_576}
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LATEST = re.compile(r"gemini-(flash|pro|flash-lite)-latest")

Config = dict[str, Any]


def thinking_of(effort: ReasoningEffort | None, model: str, max_tokens: int | None, steps: Steps) -> Config | None:
    """The `thinkingConfig` for `effort`, in the best form that `model` has not refused; None: send none."""
    return form(steps, EFFORTS[effort], _forms(effort, version_of(model), max_tokens))


def version_of(model: str) -> tuple[int, int]:
    """The version in a model's name; (0, 0) for other models, such as Gemma or those of another server."""
    if found := _VERSION.search(model):
        return int(found[1]), int(found[2] or 0)
    return (3, 0) if _LATEST.search(model) else (0, 0)


def _forms(
    effort: ReasoningEffort | None, version: tuple[int, int], max_tokens: int | None
) -> tuple[Config | None, ...]:
    """The forms of `effort`, the best first. https://ai.google.dev/gemini-api/docs/thinking

    Models from 2.5 on think by default, and show it only when asked. No model accepts both a level and a budget.
    """
    if version < (2, 5):
        return (None,)
    if effort is None:
        return ({"includeThoughts": True}, None)
    if version >= (3, 0):
        if effort == "off":
            return ({"thinkingLevel": "minimal"}, {"thinkingLevel": "low"}, None)
        return ({"thinkingLevel": effort, "includeThoughts": True}, {"includeThoughts": True}, None)
    if effort == "off":
        return ({"thinkingBudget": 0}, {"thinkingBudget": LEAST_BUDGET}, None)
    budget = _BUDGETS[effort]
    if max_tokens is not None:
        budget = max(LEAST_BUDGET, min(budget, max_tokens // 2))
    return ({"thinkingBudget": budget, "includeThoughts": True}, {"includeThoughts": True}, None)
