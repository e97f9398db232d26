"""Cutting a byte stream into payloads."""

from __future__ import annotations

import pytest

from app.providers.wire.framing import EVENT_LIMIT, Events, EventTooLarge, Lines


def events(*reads: bytes) -> list[bytes]:
    """All payloads of a stream that arrives in these reads."""
    framing = Events()
    return [payload for read in reads for payload in framing.feed(read)] + framing.end()


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
        (b"data:1\n\n", [b"1"]),
        (b"data:  1\n\n", [b" 1"]),
        (b"event: delta\ndata: 1\n\n", [b"1"]),
        (b"data: 1\nevent: delta\n\n", [b"1"]),
        (b"id: 7\nretry: 10\nevent: delta\ndata: 1\n\n", [b"1"]),
        (b"data: {\ndata: }\n\n", [b"{\n}"]),
        (b"data: {\r\ndata: }\r\n\r\n", [b"{\n}"]),
        (b"event: delta\ndata: {\ndata: }\n\n", [b"{\n}"]),
        (b"event: data: x\ndata: 1\n\n", [b"1"]),
        (b": keep-alive\n\ndata: 1\n\n", [b"1"]),
        (b": data: 0\ndata: 1\n\n", [b"1"]),
        (b"data: 1\n: comment\n\n", [b"1"]),
        (b"unknown: 0\nnonsense\ndata: 1\n\n", [b"1"]),
        (b"data\n\ndata:\n\ndata: 1\n\n", [b"1"]),
        (b"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n", [b"1", b"2"]),
        (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
        (b"data: 1\r\n\ndata: 2\n\r\n", [b"1", b"2"]),
        (b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
        (b"data: 1\n\ndata: [DONE]", [b"1", b"[DONE]"]),
        (b"data: 1\n\ndata: 2\n", [b"1", b"2"]),
        (b'{"error": 1}', [b'{"error": 1}']),
        (b'data: 1\n\n{\n  "error": 1\n}\n', [b"1", b'{\n  "error": 1\n}\n']),
        (b'error: {"message": "no"}\n\ndata: [DONE]\n\n', [b'{"error": {"message": "no"}}', b"[DONE]"]),
        (b"", []),
        (b"\n", []),
        (b"<html>no</html>", []),
    ],
)
def test_events(stream: bytes, payloads: list[bytes]) -> None:
    assert events(stream) == payloads
    assert events(*(stream[i : i + 1] for i in range(len(stream)))) == payloads


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"event: known\ndata: 1\n\ndata: 2\n\n", [b"1", b"2"]),
        (b"event:known\ndata:1\n\n", [b"1"]),
        (b"event: other\ndata: 1\n\nevent: known\ndata: 2\n\n", [b"2"]),
        (b"event:other\r\ndata: 1\r\n\r\n", []),
        (b"data: 1\nid: 3\nevent: other\n\n", []),
        (b"event: other\ndata: 1", []),
        (b'{"error": 1}', [b'{"error": 1}']),
    ],
)
def test_events_of_other_names_are_left_out(stream: bytes, payloads: list[bytes]) -> None:
    framing = Events(frozenset({b"known"}))
    assert framing.feed(stream) + framing.end() == payloads


def test_empty_reads_change_nothing() -> None:
    assert events(b"", b"data: 1\r", b"", b"\n\r\n", b"") == [b"1"]


def test_text_keeps_what_only_looks_like_a_line_end() -> None:
    text = '{"a": "\u2028\u2029\x85\x0b\x0c"}'.encode()
    assert events(b"data: " + text + b"\n\n") == [text]


@pytest.mark.parametrize("framing", [Events(), Lines()])
def test_event_without_an_end_is_given_up(framing: Events | Lines) -> None:
    framing.feed(b"data: " + b"x" * (EVENT_LIMIT - 10))
    with pytest.raises(EventTooLarge):
        framing.feed(b"x" * 10)


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"1\n2\n", [b"1", b"2"]),
        (b"1\r\n\n  \n2", [b"1\r", b"2"]),
        (b"", []),
    ],
)
def test_lines(stream: bytes, payloads: list[bytes]) -> None:
    framing = Lines()
    reads = (stream[i : i + 1] for i in range(len(stream)))

    assert [payload for read in reads for payload in framing.feed(read)] + framing.end() == payloads
