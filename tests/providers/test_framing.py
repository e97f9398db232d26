"""Cutting a byte stream into payloads."""

from __future__ import annotations

import json

import pytest

from app.providers.wire.framing import EVENT_LIMIT, Events, Lines


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
        (b'error: {"message": "no"}\n\ndata: [DONE]\n\n', [b'{"error":{"message": "no"}}', b"[DONE]"]),
        (b'data: {"n": 1}\n \ndata: {"n": 2}\n\n', [b'{"n": 1}', b'{"n": 2}']),
        (b'{"n": 1}\n{"n": 2}\n[DONE]\n', [b'{"n": 1}', b'{"n": 2}', b"[DONE]\n"]),
        (b'data: {\n  "n": 1,\n  "id": 2\n}\n\n', [b' {\n  "n": 1,\n  "id": 2\n}']),
        (b'data: {\n: comment\nid: 7\n"n": 1}\n\n', [b' {\n"n": 1}']),
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
        (b'event: chunk\ndata: {"type": "known"}\n\n', [b'{"type": "known"}']),
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


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


LARGE = EVENT_LIMIT * 3
FRAMINGS = pytest.mark.parametrize(("framing", "end"), [(Events, b"\n\n"), (Lines, b"\n")])


@FRAMINGS
@pytest.mark.parametrize("size", [1000, 65_537, LARGE + 1000])
def test_event_beyond_the_limit_is_passed_over(framing: type[Events | Lines], end: bytes, size: int) -> None:
    # not base64, which has no blanks
    mark = b"data: " if framing is Events else b""
    stream = mark + b'{"n": 1}' + end + mark + b"x " * (LARGE // 2) + end + mark + b'{"n": 2}' + end
    framed = framing()
    payloads = [payload for read in cut(stream, size) for payload in framed.feed(read)] + framed.end()

    assert [payload for payload in payloads if payload.startswith(b"{")] == [b'{"n": 1}', b'{"n": 2}']


@FRAMINGS
def test_of_an_event_beyond_the_limit_nothing_is_kept(framing: type[Events | Lines], end: bytes) -> None:
    framed = framing()
    for _ in range(LARGE // 1000):
        framed.feed(b"x " * 500)
        assert len(framed._tail) + framed._size <= EVENT_LIMIT
    assert framed.end() == []


@FRAMINGS
@pytest.mark.parametrize("size", [1000, 65_537])
@pytest.mark.parametrize("slash", [b"/", b"\\/"])
def test_base64_is_cut_out_of_an_event_beyond_the_limit(
    framing: type[Events | Lines], end: bytes, size: int, slash: bytes
) -> None:
    image = (b"iVBORw0KGgo" + slash) * (LARGE // 12)
    mark = b"data: " if framing is Events else b""
    stream = mark + b'{"image": "data:image/png;base64,' + image + b'==", "text": "Hi"}' + end
    framed = framing()
    (payload,) = [payload for read in cut(stream, size) for payload in framed.feed(read)] + framed.end()

    event = json.loads(payload)
    assert event["text"] == "Hi"
    assert len(event["image"]) < EVENT_LIMIT


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b'data: {"a": 1}\ndata: {"a": 2}\ndata: [DONE]\n', [b'{"a": 1}', b'{"a": 2}', b"[DONE]"]),
        (b'event: a\ndata: {"a": 1}\nevent: b\ndata: {"a": 2}\n\n', [b'{"a": 1}', b'{"a": 2}']),
        (b'data:{"a": 1}\r\ndata:{"a": 2}\r\n', [b'{"a": 1}', b'{"a": 2}']),
        # one event, as the standard has it
        (b'data: {"a": {}\ndata: }\n\n', [b'{"a": {}\n}']),
        (b'data: [{"a": 1},\ndata: {"a": 2}]\n\n', [b'[{"a": 1},\n{"a": 2}]']),
    ],
)
def test_events_without_blank_lines(stream: bytes, payloads: list[bytes]) -> None:
    assert events(stream) == payloads
    assert events(*cut(stream, 1)) == payloads


def test_events_without_blank_lines_do_not_wait_for_the_end() -> None:
    framing = Events()
    assert framing.feed(b'data: {"a": 1}\ndata: {"a": 2}\n') == [b'{"a": 1}']
    assert framing.feed(b"data: [DONE]\n") == [b'{"a": 2}', b"[DONE]"]


@pytest.mark.parametrize(
    ("stream", "payload"),
    [
        (b'event: error\ndata: {"message": "no"}\n\n', {"error": {"message": "no"}}),
        (b'event:error\n:HTTP_STATUS/400\ndata:{"message": "no"}\n\n', {"error": {"message": "no"}}),
        (b'data: {"message": "no"}\nevent: error\n\n', {"error": {"message": "no"}}),
        (b'event: error\ndata: "no"\n\n', {"error": "no"}),
        (b'event: error\ndata: no "quotes"\n\n', {"error": 'no "quotes"'}),
    ],
)
@pytest.mark.parametrize("names", [None, frozenset({b"known"})])
def test_event_called_error(stream: bytes, payload: object, names: frozenset[bytes] | None) -> None:
    (found,) = Events(names).feed(stream)
    assert json.loads(found) == payload


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"1\n2\n", [b"1", b"2"]),
        (b"1\r\n\n2", [b"1\r", b"2"]),
        (b"\xef\xbb\xbf1\n2\n", [b"1", b"2"]),
        (b'{\n  "a": 1\n}\n', [b'{\n  "a": 1\n}\n']),
        (b'\n{\r\n  "a": [\r\n\r\n1]}', [b'{\r\n  "a": [\r\n\r\n1]}']),
        (b"", []),
    ],
)
def test_lines(stream: bytes, payloads: list[bytes]) -> None:
    framing = Lines()
    reads = (stream[i : i + 1] for i in range(len(stream)))

    assert [payload for read in reads for payload in framing.feed(read)] + framing.end() == payloads
