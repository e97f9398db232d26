"""Streams for tests: reads one with a decoder, and writes one."""

from __future__ import annotations

import json

from app.errors import ProviderError
from app.messages import Delta, Finish
from app.providers.wire.decoder import Decoder

DONE = b"data: [DONE]\n\n"


def sse(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n" for value in values)


def ndjson(*values: object) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def read(decoder: Decoder, *reads: bytes) -> tuple[str, Finish | ProviderError]:
    """The text, and how the stream ended."""
    text = ""
    finish = None
    try:
        for data in reads:
            for event in decoder.feed(data):
                assert finish is None
                if isinstance(event, Delta):
                    text += event.text
                else:
                    finish = event
        if finish is None:
            for event in decoder.eof():
                if isinstance(event, Delta):
                    text += event.text
                else:
                    finish = event
    except ProviderError as exc:
        return text, exc
    assert finish is not None
    return text, finish
