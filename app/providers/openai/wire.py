"""Reads the chat completion streams of OpenAI and compatible servers."""

from __future__ import annotations

from typing import Any

import msgspec

from app.errors import (
    AuthenticationRefused,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers.failures import failure, is_error, kind_of_status, words_of
from app.providers.openai.description import NAME
from app.providers.wire.counts import places
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events
from app.providers.wire.parts import text_of

# https://platform.openai.com/docs/guides/error-codes; `exceed_context_size_error` is llama.cpp's
_KINDS: dict[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "rate_limit_exceeded": Throttled,
    "rate_limit_error": Throttled,
    "invalid_api_key": AuthenticationRefused,
    "authentication_error": AuthenticationRefused,
    "model_not_found": ModelNotFound,
    "context_length_exceeded": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "invalid_prompt": ContentFiltered,
}


class ErrorBody(msgspec.Struct):
    """The `error` of an answer or of an event."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    """Servers other than OpenAI put the HTTP status here."""


def error_of(body: object) -> ErrorBody:
    """Read an error body, in any of the shapes that servers send."""
    while isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if not isinstance(body, dict):
        return ErrorBody(words_of(body))
    code = body.get("code") or body.get("status")
    type_ = body.get("type")
    return ErrorBody(
        words_of(body),
        type_ if isinstance(type_, str) else None,
        str(code) if isinstance(code, str | int) and not isinstance(code, bool) else None,
    )


def failure_of(
    error: ErrorBody, model: str | None, status: int | None = None, retry_after: float | None = None
) -> ProviderError:
    """The `ProviderError` for an error of OpenAI's. `status` is None for an error inside a stream."""
    number = error.code if error.code and error.code.isdecimal() else None
    if status is None and number is not None and len(number) == 3:
        status = int(number)
    kind = next((_KINDS[name] for name in (error.code, error.type) if name in _KINDS), None)
    if kind is None and status is not None:
        kind = kind_of_status(status)
    if kind is None:
        kind = RequestRefused if error.type == "invalid_request_error" else ServerError
    code = error.type if error.code is None or number else error.code
    return failure(kind, error.message, provider=NAME, model=model, status=status, code=code, retry_after=retry_after)


class _Said(msgspec.Struct):
    """A `delta` or a `message`."""

    content: Any = None
    refusal: Any = None
    # Reasoning: DeepSeek and most others; vLLM, OpenRouter, Groq and Ollama; GitHub; LiteLLM. Some servers send the
    # same text under two names.
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    reasoning_text: Any = None
    thinking: Any = None
    thinking_blocks: Any = None


class _Choice(msgspec.Struct):
    index: Any = None
    delta: _Said | None = None
    message: _Said | None = None
    text: Any = None
    finish_reason: Any = None
    # Moonshot sends the usage here
    usage: Any = None
    # OpenRouter sends errors here
    error: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    # Groq sends the usage here
    x_groq: Any = None
    # fields of errors without an `error` object: vLLM's of 2024, FastAPI's, DashScope's
    message: Any = None
    detail: Any = None
    code: Any = None


_FINE = (None, 0, 200, "", "0", "200", "success", "Success", "ok", "OK")


class OpenAIDecoder(Decoder[_Chunk]):
    """Reads chat completion chunks, or the whole completion of a server that ignored `stream`."""

    provider = NAME
    events = msgspec.json.Decoder(_Chunk)
    # OpenAI's names first, then DeepSeek's, Moonshot's, and Anthropic's, which some servers use too
    counted = places(
        prompt="prompt_tokens input_tokens",
        completion="completion_tokens output_tokens",
        total="total_tokens",
        cached="prompt_tokens_details.cached_tokens input_tokens_details.cached_tokens prompt_cache_hit_tokens"
        " cached_tokens cache_read_input_tokens",
        reasoning="completion_tokens_details.reasoning_tokens output_tokens_details.reasoning_tokens reasoning_tokens",
    )

    def __init__(self, model: str) -> None:
        super().__init__(model, Events())
        self._refused = False
        self._reasoned = False
        """Reasoning has come in one of the usual fields."""

    def _take(self, chunk: _Chunk) -> None:
        if chunk.error and is_error(chunk.error):
            raise failure_of(error_of(chunk.error), self.model)
        if chunk.choices:
            for choice in chunk.choices:
                if not choice.index or choice.index == "0":
                    self._read(choice)
        elif chunk.detail or (chunk.message and chunk.code not in _FINE):
            raise failure_of(error_of({"message": chunk.message or chunk.detail, "code": chunk.code}), self.model)
        if chunk.usage:
            self._count(chunk.usage)
        elif self._reason is not None and isinstance(chunk.x_groq, dict):
            self._count(chunk.x_groq.get("usage"))

    def _read(self, choice: _Choice) -> None:
        said = choice.delta or choice.message
        if said is not None:
            if said.reasoning_content or said.reasoning:
                if reasoning := text_of(said.reasoning_content) or text_of(said.reasoning):
                    self._think(reasoning)
                    self._reasoned = True
            elif not said.content or not self._said:  # not for every token of the text
                self._think_otherwise(said)
            if said.content:
                self._say(said.content)
                if not choice.finish_reason:
                    return
            elif said.refusal:
                self._refused = True
        elif choice.text:
            self._say(choice.text)
        if choice.error and is_error(choice.error):
            raise failure_of(error_of(choice.error), self.model)
        if choice.finish_reason:
            self._stop("content_filter" if self._refused else choice.finish_reason)
        if choice.usage:
            self._count(choice.usage)

    def _think_otherwise(self, said: _Said) -> None:
        """Read the rarer fields for reasoning. They may repeat all that came in the usual ones."""
        if not self._reasoned:
            self._think(text_of(said.reasoning_details or said.reasoning_text or said.thinking or said.thinking_blocks))
