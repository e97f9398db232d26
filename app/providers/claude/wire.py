"""Reads the stream of Anthropic's messages API."""

from __future__ import annotations

from typing import Any

import msgspec

from app.errors import (
    AuthenticationRefused,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers.claude.description import NAME
from app.providers.failures import failure, innermost, is_error, kind_of_status, words_of
from app.providers.wire.calls import NOTHING, Asked, Piece
from app.providers.wire.counts import places
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events
from app.providers.wire.parts import is_thought, text_of

# https://docs.anthropic.com/en/api/errors; all other types are failures of the server
_KINDS: dict[str, type[ProviderError]] = {
    "invalid_request_error": RequestRefused,
    "request_too_large": ContextTooLong,
    "authentication_error": AuthenticationRefused,
    "permission_error": AuthenticationRefused,
    "billing_error": QuotaExhausted,
    "not_found_error": ModelNotFound,
    "rate_limit_error": Throttled,
}


class ErrorBody(msgspec.Struct):
    """The `error` of an answer or of an `error` event."""

    type: str | None = None
    message: str = ""
    code: int | None = None
    """The HTTP status, from llama.cpp."""


def error_of(body: object) -> ErrorBody:
    """Read an error body, in Anthropic's shape or in that of a server with the same API."""
    body = innermost(body)
    if not isinstance(body, dict):
        return ErrorBody(message=words_of(body))
    type_, code = body.get("type"), body.get("code")
    return ErrorBody(
        type_ if isinstance(type_, str) else None,
        words_of(body),
        code if isinstance(code, int) and code >= 300 else None,
    )


def failure_of(
    error: ErrorBody, model: str | None, status: int | None = None, retry_after: float | None = None
) -> ProviderError:
    """The `ProviderError` for an error of Anthropic's. `status` is None for an error inside a stream."""
    if status is None and error.type not in _KINDS:
        status = error.code
    kind = _KINDS.get(error.type or "", ServerError) if status is None else kind_of_status(status)
    # a rate limit always says when it ends; a 429 without that is a spend limit, and retrying does not help
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


class _Block(msgspec.Struct):
    """A content block, or a delta of one."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    stop_reason: Any = None
    id: Any = None
    name: Any = None
    input: Any = None
    partial_json: Any = None


class _Message(msgspec.Struct):
    usage: Any = None


class _Event(msgspec.Struct, rename={"metrics": "amazon-bedrock-invocationMetrics"}):
    type: Any = None
    index: Any = None
    delta: _Block | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: Any = None
    error: Any = None
    # the whole message, from a server that ignored `stream`
    content: Any = None
    stop_reason: Any = None
    # Bedrock sends its counts here, with the last event
    metrics: Any = None


# Anthropic may add events with any data: https://docs.anthropic.com/en/api/versioning
_NAMES = frozenset(
    {
        b"message_start",
        b"content_block_start",
        b"content_block_delta",
        b"content_block_stop",
        b"message_delta",
        b"message_stop",
        b"message",
    }
)


class ClaudeDecoder(Decoder[_Event]):
    """Reads the events of a message: its text, its thinking and its calls of the client's tools."""

    provider = NAME
    events = msgspec.json.Decoder(_Event)
    counted = places(
        prompt="input_tokens inputTokenCount",
        written="cache_creation_input_tokens cacheWriteInputTokenCount",
        read="cache_read_input_tokens cacheReadInputTokenCount",
        completion="output_tokens outputTokenCount",
        reasoning="output_tokens_details.thinking_tokens",
    )

    def __init__(self, model: str, asked: Asked = NOTHING) -> None:
        super().__init__(model, Events(_NAMES), asked)
        self._begun = ""
        """The text that a block began with. Its first delta may repeat it."""
        self._inputs: dict[object, object] = {}
        """The input with which each block of a tool call began, by the block's index, until its first delta."""

    def _take(self, event: _Event) -> None:
        kind = event.type or _kind_of(event)
        if self._begun and kind != "ping":
            self._say_begun(event.delta)
        match kind:
            case "content_block_delta":
                if event.delta is not None and event.delta.type == "input_json_delta":
                    self._read_input(event.index, event.delta)
                elif event.delta is not None:
                    self._read(event.delta)
            case "content_block_start":
                block = event.content_block
                if block is not None and block.type in ("text", None) and block.text and isinstance(block.text, str):
                    self._begun = block.text
                elif block is not None and block.type == "tool_use":
                    self._inputs[_key(event.index)] = block.input
                    self._call(Piece(_key(event.index), block.id, block.name))
                elif block is not None:
                    self._read(block)
            case "content_block_stop":
                self._close(event.index)
            case "message_start":
                if event.message is not None and isinstance(usage := event.message.usage, dict):
                    # the output count in this event is only a placeholder
                    self._count({**usage, "output_tokens": 0})
            case "message_delta":
                self._count(event.usage)
                for index in list(self._inputs):
                    self._close(index)
                self._stop((event.delta.stop_reason if event.delta else None) or event.stop_reason)
            case "message_stop":
                self._count(event.usage or event.metrics)
                self._stop(event.stop_reason)
                self._ended = True
            case "message":
                self._flush()
                if not self._said:  # otherwise it repeats what the deltas said
                    self._say(event.content)
                    self._read_calls(event.content)
                self._count(event.usage)
                self._stop(event.stop_reason)
            case "error":
                raise failure_of(error_of(event.error), self.model)
            case _:
                # an event without a name; it may be an error without a type
                if event.error and is_error(event.error):
                    raise failure_of(error_of(event.error), self.model)

    def _read_input(self, index: object, delta: _Block) -> None:
        """Read a part of a tool's input, unless it is a tool that Anthropic runs."""
        if _key(index) in self._inputs:
            if delta.partial_json:
                self._inputs[_key(index)] = None
            self._call(Piece(_key(index), arguments=delta.partial_json))

    def _close(self, index: object) -> None:
        """Take the input that came with the block itself, if no delta came: some servers send it so."""
        if given := self._inputs.pop(_key(index), None):
            self._call(Piece(_key(index), arguments=given))

    def _read_calls(self, content: object) -> None:
        """Read the tool calls of a whole message."""
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                piece = Piece(None, block.get("id"), block.get("name"), block.get("input"), whole=True)
                self._call(piece)

    def _read(self, block: _Block) -> None:
        """Read text and thinking. Signatures, Anthropic's own tools, citations and encrypted thinking are ignored."""
        if block.type in ("text_delta", "text", None):
            if block.text or block.text.__class__ is int:
                self._say(block.text)
            elif block.thinking:
                self._think(text_of(block.thinking))
        elif is_thought(block.type):
            self._think(text_of(block.thinking or block.text))

    def _say_begun(self, delta: _Block | None) -> None:
        """Take the text that a block began with, unless `delta` repeats it, as MiniMax's deltas do."""
        begun, self._begun = self._begun, ""
        text = delta.text if delta is not None else None
        if not (isinstance(text, str) and text.startswith(begun)):
            self._say(begun)


def _key(index: object) -> object:
    """The index of a block, as a key."""
    return index if isinstance(index, int | str) else None


def _kind_of(event: _Event) -> str | None:
    """The type of an event without `type`, by the fields that it has."""
    if event.message is not None:
        return "message_start"
    if event.delta is not None:
        return "message_delta" if event.delta.stop_reason else "content_block_delta"
    if event.content_block is not None:
        return "content_block_start"
    return "message" if event.content else None
