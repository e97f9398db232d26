"""Reads OpenAI's chat completion stream, and the dialects of the servers that copy it."""

from __future__ import annotations

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
from app.messages import FinishReason, Usage
from app.providers.failures import failure, kind_of_status
from app.providers.openai.description import NAME
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events

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

# A finish that the provider did not choose, as OpenRouter, vLLM and DeepSeek report it.
_FAILED = frozenset({"error", "abort", "insufficient_system_resource"})


class ErrorBody(msgspec.Struct):
    """The `error` of an answer or of an event. Servers other than OpenAI put the HTTP status into `code`."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None


def failure_of(
    error: ErrorBody | str, model: str | None, status: int | None = None, retry_after: float | None = None
) -> ProviderError:
    """The failure that OpenAI's error means, answered with `status` or, when that is None, inside a stream."""
    if isinstance(error, str):
        error = ErrorBody(message=error)
    if status is None and str(error.code).isdecimal():
        status = int(str(error.code))
    names = (str(error.code), str(error.type))
    kind = next((_KINDS[name] for name in names if name in _KINDS), None)
    if kind is None and status is not None:
        kind = kind_of_status(status)
    if kind is None:
        kind = RequestRefused if error.type == "invalid_request_error" else ServerError
    code = error.code if isinstance(error.code, str) else error.type
    return failure(kind, error.message, provider=NAME, model=model, status=status, code=code, retry_after=retry_after)


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Text(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: ErrorBody | str | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class OpenAIDecoder(Decoder):
    """Reads chat completion chunks, or the whole completion of a server that ignored `stream`."""

    provider = NAME

    def __init__(self, model: str) -> None:
        super().__init__(model, Events())
        self._refused = False

    def _take(self, payload: bytes) -> None:
        if payload.startswith(b"[DONE]"):
            self._ended = True
            return
        chunk = self._decoded(_CHUNK, payload)
        if chunk.error is not None:
            raise failure_of(chunk.error, self.model)
        for choice in chunk.choices or ():
            if not choice.index:
                self._read(choice)
        if (usage := chunk.usage) is not None:
            details = usage.prompt_tokens_details
            cached = details.cached_tokens if details else None
            self._usage = Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, cached or 0)

    def _read(self, choice: _Choice) -> None:
        text = choice.delta or choice.message
        if text is not None:
            if text.content:
                self._texts.append(text.content)
            if text.refusal:
                self._refused = True
        if choice.finish_reason:
            self._reason = self._reason_of(choice.finish_reason)

    def _reason_of(self, reason: str) -> FinishReason:
        if reason in _FAILED:
            raise failure(ServerError, f"finish reason {reason}", provider=self.provider, model=self.model)
        if self._refused or reason == "content_filter":
            return "content_filter"
        return "length" if reason == "length" else "stop"
