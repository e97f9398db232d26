"""Reasons: the meaning of the names that providers give for the end of a reply."""

from __future__ import annotations

import re
from typing import Literal

from app.values import ReplyFinishReason

Meaning = Literal[ReplyFinishReason, "failed", "nothing"]
"""`failed`: the provider failed. `nothing`: the provider works, but the model produced nothing usable."""

# https://platform.openai.com/docs/api-reference/chat/object, https://platform.claude.com/docs/en/api/handling-stop-reasons,
# https://ai.google.dev/api/generate-content#FinishReason, and what Ollama, OpenRouter, vLLM, DeepSeek, Z.ai and Mistral
# add to them. Several servers say `stop` after tool calls, so the decoder tells by the calls themselves whether a reply
# has any.
KNOWN: dict[str, Meaning] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "normal": "stop",
    # the model waits for its context to be summarised, which Parley does not do
    "compaction": "stop",
    "tool_calls": "stop",
    "tool_use": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    # the provider's own limit for one request; Parley does not ask for the rest
    "continuation": "length",
    # cut off because the model repeated itself
    "repetition": "length",
    "error_limit": "length",
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
    "pup_limited_disabled": "failed",
    "other": "nothing",
    "image_other": "nothing",
    "no_image": "nothing",
    "malformed_function_call": "nothing",
    "malformed_response": "nothing",
    "malformed_tool_use": "nothing",
    "malformed_model_output": "nothing",
    "missing_thought_signature": "nothing",
    "too_many_tool_calls": "nothing",
    "unexpected_tool_call": "nothing",
    # Ollama has loaded or unloaded a model and written nothing
    "load": "nothing",
    "unload": "nothing",
}

NONE = frozenset(
    {
        *("", "null", "none", "nil", "undefined", "not_finished", "unfinished", "in_progress", "generating"),
        *("unspecified", "finish_reason_unspecified", "block_reason_unspecified"),
    }
)
"""Names that mean that there is no reason yet. DashScope writes `"null"` into every event, watsonx `"not_finished"`."""

# The likely meaning of unknown names. The order matters: `max_risk_exceeded` is a filter's, not a limit of tokens.
_LIKELY: tuple[tuple[Meaning, re.Pattern[str]], ...] = (
    (
        "content_filter",
        re.compile(
            r"filter|safe|sensitiv|block|prohibit|recit|moderat|guardrail|violat|refus|policy|copyright|risk|flag|harm"
            r"|toxic"
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
    ("stop", re.compile(r"(?<![a-z])(stop|end|eos|eot|complet|finish(?!_reason)|final|done|succe|tool|function)")),
)


def normal(name: str) -> str:
    """`name` in the form of the tables: `MAX_TOKENS`, `max-tokens` and `maxTokens` become `max_tokens`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s.:/-]+", "_", words).lower().removeprefix("finish_reason_")


def likely(name: str) -> tuple[Meaning, str] | None:
    """The likely meaning of a name that is not in `KNOWN`, and the word that hints at it, which is one of ours; None
    when there is none."""
    return next(((meaning, found[0]) for meaning, words in _LIKELY if (found := words.search(name))), None)
