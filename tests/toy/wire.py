"""Reads the toy's stream: a JSON document a line, with the next text or the reason to finish."""

from __future__ import annotations

import msgspec

from app.messages import Usage
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Lines
from tests.toy.description import NAME


class _Line(msgspec.Struct):
    text: str | None = None
    words: tuple[int, int] | None = None


_LINE = msgspec.json.Decoder(_Line)


class ToyDecoder(Decoder):
    provider = NAME

    def __init__(self, model: str) -> None:
        super().__init__(model, Lines())

    def _take(self, payload: bytes) -> None:
        line = self._decoded(_LINE, payload)
        if line.text:
            self._texts.append(line.text)
        if line.words is not None:
            self._reason, self._usage, self._ended = "stop", Usage(*line.words), True
