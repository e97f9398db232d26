"""Reads the stream of Anthropic's messages API."""

from __future__ import annotations

import msgspec

from app.errors import (
    AuthenticationRefused,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.messages import FinishReason, Usage
from app.providers.claude.description import NAME
from app.providers.failures import failure, kind_of_status
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events

# https://docs.anthropic.com/en/api/errors; what is not here is the server's own trouble
_KINDS: dict[str, type[ProviderError]] = {
    "invalid_request_error": RequestRefused,
    "request_too_large": RequestRefused,
    "authentication_error": AuthenticationRefused,
    "permission_error": AuthenticationRefused,
    "billing_error": QuotaExhausted,
    "not_found_error": ModelNotFound,
    "rate_limit_error": Throttled,
}

# https://docs.anthropic.com/en/api/handling-stop-reasons; every other reason is a regular end
_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    # what servers say that speak for another provider in Anthropic's format
    "content_filter": "content_filter",
}


class ErrorBody(msgspec.Struct):
    """The `error` of an answer or of an `error` event."""

    type: str | None = None
    message: str | None = None


def failure_of(
    error: ErrorBody, model: str | None, status: int | None = None, retry_after: float | None = None
) -> ProviderError:
    """The failure that Anthropic's error means, answered with `status` or, when that is None, inside a stream."""
    kind = _KINDS.get(error.type or "", ServerError) if status is None else kind_of_status(status)
    # a rate limit always says when it ends; a 429 that does not is a spend limit, which no retry helps
    if status == 429 and retry_after is None:
        kind = QuotaExhausted
    return failure(
        kind,
        error.message,
        provider=NAME,
        model=model,
        status=status,
        code=error.type,
        retry_after=retry_after,
    )


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Block(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    stop_reason: str | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str
    delta: _Block | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: _Usage | None = None
    error: ErrorBody | None = None
    # the whole message, from a server that ignored `stream`
    content: list[_Block] | None = None
    stop_reason: str | None = None


_EVENT = msgspec.json.Decoder(_Event)

# Anthropic may add events with any data: https://docs.anthropic.com/en/api/versioning
_NAMES = frozenset(
    {
        b"message_start",
        b"content_block_start",
        b"content_block_delta",
        b"message_delta",
        b"message_stop",
        b"error",
        b"message",
    }
)


class ClaudeDecoder(Decoder):
    """Reads the events of a message: text blocks only, no thinking, no tools."""

    provider = NAME

    def __init__(self, model: str) -> None:
        super().__init__(model, Events(_NAMES))
        self._counts = _Usage()

    def _take(self, payload: bytes) -> None:
        event = self._decoded(_EVENT, payload)
        match event.type:
            case "content_block_delta":
                if event.delta is not None and event.delta.type == "text_delta":
                    self._read(event.delta)
            case "content_block_start":
                if event.content_block is not None and event.content_block.type == "text":
                    self._read(event.content_block)
            case "message_start":
                if event.message is not None:
                    self._count(event.message.usage)
            case "message_delta":
                self._count(event.usage)
                self._stop(event.delta.stop_reason if event.delta else None)
            case "message_stop":
                self._ended = True
            case "message":
                for block in event.content or ():
                    if block.type == "text":
                        self._read(block)
                self._count(event.usage)
                self._stop(event.stop_reason)
            case "error":
                raise failure_of(event.error or ErrorBody(), self.model)
            case _:
                pass  # what is not among `_NAMES`, from a server that leaves the names out

    def _read(self, block: _Block) -> None:
        if block.text:
            self._texts.append(block.text)

    def _stop(self, reason: str | None) -> None:
        if reason:
            self._reason = _REASONS.get(reason, "stop")

    def _count(self, usage: _Usage | None) -> None:
        """Take over the counts that `usage` has: they are totals, and a later event need not repeat them."""
        if usage is None:
            return
        for field in _Usage.__struct_fields__:
            if (count := getattr(usage, field)) is not None:
                setattr(self._counts, field, count)
        counts = self._counts
        cached = counts.cache_read_input_tokens or 0
        prompt = (counts.input_tokens or 0) + (counts.cache_creation_input_tokens or 0) + cached
        self._usage = Usage(prompt, counts.output_tokens or 0, cached)
