"""Reads the stream of Ollama's `/api/chat`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from app.errors import ProviderError, ServerError
from app.providers.failures import failure, is_error, kind_of_status
from app.providers.ollama.description import NAME
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


class _Message(msgspec.Struct):
    content: Any = None
    thinking: Any = None


class _Chunk(msgspec.Struct):
    message: _Message | None = None
    # `/api/generate` has the text here, and so have some compatible servers
    response: Any = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


class OllamaDecoder(Decoder[_Chunk]):
    """Reads one chunk per line. The last chunk has `done`, and in newer versions the reason."""

    provider = NAME
    events = msgspec.json.Decoder(_Chunk)
    counted = places(prompt="prompt", completion="completion")

    def __init__(self, model: str, read: Callable[[int], None] = lambda _: None) -> None:
        """`read` is called with the number of prompt tokens that the model has read."""
        super().__init__(model, Lines())
        self._read = read

    def _take(self, chunk: _Chunk) -> None:
        if chunk.error and is_error(chunk.error):
            raise failure_of(chunk.error, self.model)
        if chunk.message is not None:
            if chunk.message.thinking:
                self._think(text_of(chunk.message.thinking))
            if chunk.message.content or chunk.message.content.__class__ is int:
                self._say(chunk.message.content)
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
