"""Reads a stream with a decoder, and writes one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from app.errors import ProviderError
from app.providers.wire.decoder import Decoder
from app.values import Alive, Delta, Finish, Reasoning, ToolCallDelta

DONE = b"data: [DONE]\n\n"

Event = Delta | Reasoning | ToolCallDelta | Alive | Finish


def sse(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n" for value in values)


def ndjson(*values: object) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def events_of(decoder: Decoder, *reads: bytes) -> Iterator[Event]:
    """All that the decoder gives out, up to the end of the stream."""
    for data in reads:
        yield from decoder.feed(data)
    if not decoder.finished:
        yield from decoder.eof()


def read(decoder: Decoder, *reads: bytes) -> tuple[str, Finish | ProviderError]:
    """The text, and how the stream ended."""
    return read_all(decoder, *reads)[1:]


def read_all(decoder: Decoder, *reads: bytes) -> tuple[str, str, Finish | ProviderError]:
    """The reasoning, the text, and how the stream ended."""
    reasoning = text = ""
    finish = None
    try:
        for event in events_of(decoder, *reads):
            assert finish is None
            match event:
                case Delta():
                    text += event.text
                case Reasoning():
                    reasoning += event.text
                case Finish():
                    finish = event
    except ProviderError as exc:
        return reasoning, text, exc
    assert finish is not None
    return reasoning, text, finish
