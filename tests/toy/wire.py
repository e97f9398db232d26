"""Reads the toy's stream: a JSON document a line, with the next text or the reason to finish."""

from __future__ import annotations

import msgspec

from app.providers.wire.counts import places
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Lines
from tests.toy.description import NAME


class _Line(msgspec.Struct):
    text: str | None = None
    words: tuple[int, int] | None = None


class ToyDecoder(Decoder[_Line]):
    provider = NAME
    events = msgspec.json.Decoder(_Line)
    counted = places(prompt="prompt", completion="completion")

    def __init__(self, model: str) -> None:
        super().__init__(model, Lines())

    def _take(self, event: _Line) -> None:
        if event.text:
            self._say(event.text)
        if event.words is not None:
            prompt, completion = event.words
            self._count({"prompt": prompt, "completion": completion})
            self._stop("stop")
            self._ended = True
