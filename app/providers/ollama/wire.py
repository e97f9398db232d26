"""Reads the stream of Ollama's `/api/chat`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from app.errors import ProviderError, ServerError
from app.providers.failures import failure, is_error, kind_of_status
from app.providers.ollama.description import NAME
from app.providers.wire.calls import NOTHING, Asked, Piece
from app.providers.wire.counts import places
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Lines
from app.providers.wire.parts import text_of


def failure_of(
    error: object,
    model: str | None,
    status: int | None = None,
    retry_after: float | None = None,
) -> ProviderError:
    """The `ProviderError` for an error of Ollama's. `status` is None for an error inside a stream. Ollama sends plain
    text, proxies in front of it send objects."""
    kind = ServerError if status is None else kind_of_status(status)
    return failure(kind, error, provider=NAME, model=model, status=status, retry_after=retry_after)


class _Function(msgspec.Struct):
    name: Any = None
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _ToolCall(msgspec.Struct):
    id: Any = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: Any = None
    thinking: Any = None
    tool_calls: list[_ToolCall] | None = None


class _Chunk(msgspec.Struct):
    message: _Message | None = None
    # `/api/generate` has the text here, and so have some compatible servers
    response: Any = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


_FORCED = "forced"
"""The key of the call whose arguments the text of the reply is."""


class OllamaDecoder(Decoder[_Chunk]):
    """Reads one chunk per line. The last chunk has `done`, and in newer versions the reason."""

    provider = NAME
    events = msgspec.json.Decoder(_Chunk)
    counted = places(prompt="prompt", completion="completion")

    def __init__(self, model: str, read: Callable[[int], None] = lambda _: None, asked: Asked = NOTHING) -> None:
        """`read` is called with the number of prompt tokens that the model has read."""
        super().__init__(model, Lines(), asked)
        self._read = read
        self._as_call = asked.as_call

    def _take(self, chunk: _Chunk) -> None:
        if chunk.error and is_error(chunk.error):
            raise failure_of(chunk.error, self.model)
        if chunk.message is not None:
            if chunk.message.thinking:
                self._think(text_of(chunk.message.thinking))
            if self._as_call is not None:
                if chunk.message.content:
                    self._call(Piece(_FORCED, None, self._as_call, text_of(chunk.message.content)))
            elif chunk.message.content or chunk.message.content.__class__ is int:
                self._say(chunk.message.content)
            for call in chunk.message.tool_calls or ():
                if (function := call.function) is not None:
                    self._call(Piece(None, call.id, function.name, function.arguments, whole=True))
        elif chunk.response:
            self._say(chunk.response)
        # some backends of Ollama leave out one of the two
        if chunk.done or chunk.done_reason:
            # the count is missing when the whole prompt came from Ollama's cache
            self._count({"prompt": chunk.prompt_eval_count, "completion": chunk.eval_count})
            if isinstance(chunk.prompt_eval_count, int) and chunk.prompt_eval_count > 0:
                self._read(chunk.prompt_eval_count)
            self._stop(chunk.done_reason or "stop")
            self._ended = True
