"""Recognises messages that refuse a request as too long for a model's context, and reads the numbers in them."""

from __future__ import annotations

import re
from typing import NamedTuple

TOKENS = range(16, 1_000_000_000)
"""The range of possible context sizes. Other numbers in these messages are versions, statuses and dates."""

# OpenAI, Azure, vLLM, SGLang, TGI, TensorRT-LLM, MLC, llama.cpp, LM Studio, TabbyAPI, Ollama, OpenRouter, Groq,
# Mistral, Cohere, xAI, SambaNova, DeepInfra, Cloudflare, Databricks, watsonx, Anthropic, Gemini, Bedrock, Qwen,
# Moonshot, Zhipu, MiniMax, Doubao
_SAYS = re.compile(
    r"context[ _-]?(length|window|size|limit)|long context|model token limit|physical batch size"
    r"|max(imum|_\w*)? ?(model|context|sequence|seq|prompt|input)?[ _]?len(gth)?\b"
    r"|\b(input|prompt|message|request(ed)?|total) tokens?\b[^.]{0,40} (can ?not |must not |should not )?exceed"
    r"|token (count|length)\b[^.]{0,30} (can ?not |must not |should not )?exceed|input token count"
    r"|exceed\w* [^.]{0,30}(model limit|token limit|tokens allowed|(input|prompt|message) tokens)"
    r"|exceed\w* (the )?(limit|maximum) (of )?[\d,]+ tokens|max(imum)? tokens of \d+ exceeded|too many (input )?tokens"
    r"|(prompt|input|text|request|messages?)( body| \(\d+ tokens\)| contains [^.]*?,)? (is |are )?"
    r"too (long|large|big)\b"
    r"|(prompt|input|sum of)\b[^.]{0,80}(larger|longer|greater) than (the )?(model|context|maximum|max_)"
    r"|range of input length|must have less than \d+ tokens|`max_new_tokens` must be|should not exceed max_num_tokens"
    r"|reduce (the length of the|your) (messages?|prompt|input)|prompt tokens limit exceeded"
    r"|超长|过长|(超出|超过)[^。]{0,16}(长度|上下文|token)",
    re.IGNORECASE,
)
_REQUEST_TOO_LARGE = re.compile(r"request too large|long context requests", re.IGNORECASE)
_RATE = re.compile(r"\bper[ -]?(second|min|hour|day|month)|rate[ _-]limit|\bquota\b", re.IGNORECASE)
"""Words for a limit that several requests reach together."""

_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?k\b|\d+)"
_LIMIT = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"n_ctx\D{{0,3}}{_NUMBER}",
        rf"context length is only {_NUMBER}",
        rf"\d > {_NUMBER}",
        rf"tokens > {_NUMBER} maximum",
        rf"(?:maximum|model's) (?:\w+ )?(?:length|window|size)(?: of| is|:)? \(?{_NUMBER}",
        rf"{_NUMBER} (?:tokens? )?(?:maximum )?context",
        rf"context length of \S+ is {_NUMBER}",
        rf"context (?:length|window|size|limit)(?! by)\D{{0,12}}{_NUMBER}",
        rf"tokens allowed \(?{_NUMBER}",
        rf"max_\w*len {_NUMBER}",
        rf"max_num_tokens \({_NUMBER}",
        rf"max(?:imum)? input tokens(?: of| is|:)? {_NUMBER}",
        rf"token limit: {_NUMBER}",
        rf"max size: {_NUMBER}",
        rf"\blimit(?: of| is|:)? \(?{_NUMBER}",
        rf"(?:(?:can ?not|must not|should not) exceed|supports up to|less than|must be <=) {_NUMBER}",
        rf"tokens of {_NUMBER} exceeded",
        rf"length should be \[1, {_NUMBER}\]",
    )
]
_COUNTED = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"n_prompt_tokens\D{{0,3}}{_NUMBER}",
        rf"{_NUMBER} (?:tokens )?(?:in|from|of) (?:the |your )?(?:input )?(?:messages|prompt|text)",
        rf"{_NUMBER} (?:`inputs`|input tokens)",
        rf"{_NUMBER}(?: \+ {_NUMBER})?(?: tokens)? >",
        rf"\({_NUMBER} tokens\) (?:exceeds|is longer)",
        rf"token count(?: of| is|:)? {_NUMBER}",
        rf"(?:count|tokens|length) \({_NUMBER}\)",
        rf"(?:contains|requested:?|received|given:|resulted in|will take|current length is|the first|n_keep:|too long:"
        rf"|input tokens) {_NUMBER}",
        rf"(?:prompt|input|sequence) length {_NUMBER}",
        rf"has {_NUMBER} tokens",
        rf"\(length {_NUMBER}\)",
    )
]


class Numbers(NamedTuple):
    """The limit and the counted tokens; None when the message does not name it. `counted` may include the reply."""

    limit: int | None
    counted: int | None


def says_too_long(words: str, status: int | None) -> bool:
    """Whether the message `words` refuses a request for its length. `words` may begin with the error's code.
    `status` is None for a message inside a stream."""
    # A 429 with these words: the request alone exceeds the rate limit, so waiting does not help, and other requests may
    # still be sent.
    if status == 413 or _REQUEST_TOO_LARGE.search(words):
        return status is None or status <= 502
    if status == 429 or _RATE.search(words):
        return False
    # llama.cpp answers a text that is too long with a 500. Some gateways turn such a refusal into a 501 or a 502.
    return (status is None or status <= 502) and _SAYS.search(words) is not None


def numbers(words: str) -> Numbers:
    """The numbers in such a message."""
    limit = _first(_LIMIT, words)
    counted = _first(_COUNTED, words)
    return Numbers(limit, counted)


def _first(patterns: list[re.Pattern[str]], words: str) -> int | None:
    for pattern in patterns:
        for found in pattern.findall(words):
            parts = [found] if isinstance(found, str) else found
            number = sum(_whole(part) for part in parts if part)
            if number in TOKENS:
                return number
    return None


def _whole(number: str) -> int:
    """`128k` may mean 128,000 or 131,072. The smaller one is safe."""
    plain = number.lower().replace(",", "")
    return int(float(plain[:-1]) * 1000) if plain.endswith("k") else int(plain)
