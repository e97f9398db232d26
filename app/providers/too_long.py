"""Recognises messages that refuse a request as too long for a model's context, and reads the numbers in them."""

from __future__ import annotations

import re
from typing import NamedTuple

TOKENS = range(16, 1_000_000_000)
"""The range of possible context sizes. Other numbers in these messages are versions, statuses and dates."""

# OpenAI, Azure, vLLM, SGLang, TGI, llama.cpp, LM Studio, TabbyAPI, Ollama, OpenRouter, Groq, Mistral, Cohere, xAI,
# Anthropic, Gemini, Bedrock, Qwen, Moonshot, Zhipu, MiniMax
_SAYS = re.compile(
    r"context[ _-]?(length|window|size|limit)|long context|model token limit|physical batch size|超长"
    r"|max(imum|_\w*)? ?(model|context|sequence|seq|prompt)?[ _]?len(gth)?\b"
    r"|(token count|input tokens)( \(?(of )?\d+\)?)? exceed|input token count|too many (input )?tokens"
    r"|(prompt|input|text|request|messages?)( body| \(\d+ tokens\)| contains [^.]*?,)? (is |are )?too (long|large)\b"
    r"|range of input length|must have less than \d+ tokens|`max_new_tokens` must be"
    r"|reduce (the length of the|your) (messages?|prompt|input)|prompt tokens limit exceeded",
    re.IGNORECASE,
)
_REQUEST_TOO_LARGE = re.compile(r"request too large|long context requests", re.IGNORECASE)

_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)"
_LIMIT = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"n_ctx\D{{0,3}}{_NUMBER}",
        rf"\d > {_NUMBER}",
        rf"tokens > {_NUMBER} maximum",
        rf"(?:maximum|model's) (?:\w+ )?(?:length|window|size)(?: of| is|:)? \(?{_NUMBER}",
        rf"{_NUMBER} maximum context",
        rf"context (?:length|window|size|limit)(?! by)\D{{0,12}}{_NUMBER}",
        rf"tokens allowed \({_NUMBER}",
        rf"max_\w*len {_NUMBER}",
        rf"token limit: {_NUMBER}",
        rf"max size: {_NUMBER}",
        rf"\blimit(?: of| is|:)? {_NUMBER}",
        rf"(?:cannot exceed|supports up to|less than|must be <=) {_NUMBER}",
        rf"length should be \[1, {_NUMBER}\]",
    )
]
_COUNTED = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_NUMBER} (?:tokens )?(?:in|from|of) (?:the )?(?:input )?(?:messages|prompt|text)",
        rf"{_NUMBER} (?:`inputs`|input tokens)",
        rf"{_NUMBER}(?: \+ {_NUMBER})?(?: tokens)? >",
        rf"\({_NUMBER} tokens\) (?:exceeds|is longer)",
        rf"token count (?:of|is) {_NUMBER}",
        rf"(?:count|tokens|length) \({_NUMBER}\)",
        rf"(?:contains|requested|received|given:|resulted in|current length is|the first|n_keep:|too long:) {_NUMBER}",
        rf"(?:prompt|input) length {_NUMBER}",
        rf"\(length {_NUMBER}\)",
    )
]


class Numbers(NamedTuple):
    """The limit and the counted tokens; None when the message does not name it. `counted` may include the reply."""

    limit: int | None
    counted: int | None


def says_too_long(words: str, status: int | None) -> bool:
    """Whether the message `words` refuses a request for its length. `status` is None for a message inside a stream."""
    # A 429 with these words: the request alone exceeds the rate limit, so waiting does not help, and other requests may
    # still be sent.
    if status in (413, 429):
        return status == 413 or _REQUEST_TOO_LARGE.search(words) is not None
    # llama.cpp answers a text that is too long with a 500, which some gateways turn into a 501
    return (status is None or status <= 501) and _SAYS.search(words) is not None


def numbers(words: str) -> Numbers:
    """The numbers in such a message."""
    limit = _first(_LIMIT, words)
    counted = _first(_COUNTED, words)
    return Numbers(limit, counted)


def _first(patterns: list[re.Pattern[str]], words: str) -> int | None:
    for pattern in patterns:
        for found in pattern.findall(words):
            parts = [found] if isinstance(found, str) else found
            number = sum(int(part.replace(",", "")) for part in parts if part)
            if number in TOKENS:
                return number
    return None
