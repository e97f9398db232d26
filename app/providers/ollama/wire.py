"""Reads the stream of Ollama's `/api/chat`."""

from __future__ import annotations

import msgspec

from app.errors import ProviderError, ServerError
from app.messages import Usage
from app.providers.failures import failure, kind_of_status
from app.providers.ollama.description import NAME
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Lines


class ErrorBody(msgspec.Struct):
    """An error as an object, which proxies in front of Ollama send; Ollama itself sends a string."""

    message: str | None = None


def failure_of(
    error: ErrorBody | str | None,
    model: str | None,
    status: int | None = None,
    retry_after: float | None = None,
) -> ProviderError:
    """The failure that Ollama's error means, answered with `status` or, when that is None, inside a stream."""
    message = error.message if isinstance(error, ErrorBody) else error
    kind = ServerError if status is None else kind_of_status(status)
    return failure(kind, message, provider=NAME, model=model, status=status, retry_after=retry_after)


class _Message(msgspec.Struct):
    content: str | None = None


class _Chunk(msgspec.Struct):
    message: _Message | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: ErrorBody | str | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class OllamaDecoder(Decoder):
    """Reads one chunk a line; thinking is left out. A model that is done says so, and why in newer versions."""

    provider = NAME

    def __init__(self, model: str) -> None:
        super().__init__(model, Lines())

    def _take(self, payload: bytes) -> None:
        chunk = self._decoded(_CHUNK, payload)
        if chunk.error is not None:
            raise failure_of(chunk.error, self.model)
        if chunk.message is not None and chunk.message.content:
            self._texts.append(chunk.message.content)
        if chunk.done:
            self._reason = "length" if chunk.done_reason == "length" else "stop"
            # a prompt served wholly from Ollama's cache has no count
            if chunk.eval_count is not None:
                self._usage = Usage(chunk.prompt_eval_count or 0, chunk.eval_count)
            self._ended = True
