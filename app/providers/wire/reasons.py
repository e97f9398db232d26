"""Reasons: the meaning of the names that providers give for the end of a reply."""

from __future__ import annotations

import re
from typing import Literal

from app.values import FinishReason

Meaning = Literal[FinishReason, "failed"]

# https://platform.openai.com/docs/api-reference/chat/object, https://platform.claude.com/docs/en/api/handling-stop-reasons,
# https://ai.google.dev/api/generate-content#FinishReason, and what Ollama, OpenRouter, vLLM, DeepSeek, Z.ai and Mistral
# add to them. Parley sends no tools, so a model that calls one has ended its text.
KNOWN: dict[str, Meaning] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "tool_calls": "stop",
    "tool_use": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    # the provider's own limit for one request; Parley does not ask for the rest
    "continuation": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "language": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "escalation": "content_filter",
    "model_armor": "content_filter",
    "image_safety": "content_filter",
    "image_prohibited_content": "content_filter",
    "image_recitation": "content_filter",
    "error": "failed",
    "abort": "failed",
    "insufficient_system_resource": "failed",
    "network_error": "failed",
    "other": "failed",
    "image_other": "failed",
    "no_image": "failed",
    "malformed_function_call": "failed",
    "malformed_response": "failed",
    "missing_thought_signature": "failed",
    "too_many_tool_calls": "failed",
    "unexpected_tool_call": "failed",
    "pup_limited_disabled": "failed",
    # Ollama has loaded or unloaded a model and written nothing
    "load": "failed",
    "unload": "failed",
}

NONE = frozenset({"", "null", "none", "undefined", "finish_reason_unspecified", "block_reason_unspecified"})
"""Names that mean that there is no reason yet. DashScope writes `"null"` into every event."""

# The likely meaning of unknown names. The order matters: `max_risk_exceeded` is a filter's, not a limit of tokens.
_LIKELY: tuple[tuple[Meaning, re.Pattern[str]], ...] = (
    (
        "content_filter",
        re.compile(
            r"filter|safe|sensitiv|block|prohibit|recit|moderat|guardrail|violat|refus|policy|copyright|risk|flag|harm"
        ),
    ),
    (
        "failed",
        re.compile(
            r"err|fail|abort|cancel|time_?d?_?out|overload|insufficient|unavail|malform|interrupt|crash|exception|quota"
            r"|disconnect|network|kill|invalid|unexpected|too_many|out_of_memory|oom|preempt|disabled|incomplete"
            r"|deadline|time_limit|rate_limit"
        ),
    ),
    ("length", re.compile(r"length|max|limit|trunc|context|budget|exceed")),
    ("stop", re.compile(r"(^|_)(stop|end|eos|eot|complet|finish|done|success|tool|function)")),
)


def normal(name: str) -> str:
    """`name` in the form of the tables: `MAX_TOKENS`, `max-tokens` and `maxTokens` become `max_tokens`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s.:/-]+", "_", words).lower()


def likely(name: str) -> Meaning | None:
    """The likely meaning of a name that is not in `KNOWN`; None when its words give no hint."""
    return next((meaning for meaning, words in _LIKELY if words.search(name)), None)
