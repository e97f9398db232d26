"""The frames of both protocol versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.local_supabase.realtime.wire import V1, V2, Broadcast, RawBroadcast, WireError, serializer

NAMES = st.text(max_size=60)
PAYLOADS = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), max_size=5)


def kind_3(fields: list[bytes], encoding: int, payload: bytes) -> bytes:
    return bytes([3, *map(len, fields), encoding]) + b"".join(fields) + payload


def test_versions() -> None:
    assert serializer(None) is V1
    assert serializer("1.0.0") is V1
    assert serializer("2.0.0") is V2
    assert serializer("3.0.0") is None


@given(topic=NAMES, event=NAMES, payload=PAYLOADS)
def test_text_messages_are_read(topic: str, event: str, payload: dict[str, Any]) -> None:
    one = V1.decode(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": "7", "join_ref": "3"}))
    two = V2.decode(json.dumps(["3", "7", topic, event, payload]))
    assert one == two == ("3", "7", topic, event, payload)


def test_a_join_ref_is_optional_in_version_1() -> None:
    message = V1.decode('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":null}')
    assert message == (None, None, "phoenix", "heartbeat", {})


def test_replies() -> None:
    assert json.loads(V1.encode("1", "2", "t", "phx_reply", {"status": "ok"}).data) == {
        "topic": "t",
        "event": "phx_reply",
        "payload": {"status": "ok"},
        "ref": "2",
    }
    assert V2.encode("1", "2", "t", "e", {}) == (b'["1","2","t","e",{}]', False)


@given(topic=NAMES, event=NAMES, content=PAYLOADS, binary=st.binary(max_size=100), as_json=st.booleans())
def test_binary_broadcasts_are_read(
    topic: str, event: str, content: dict[str, Any], binary: bytes, as_json: bool
) -> None:
    fields = [b"3", b"7", topic.encode(), event.encode(), b"{}"]
    payload = json.dumps(content).encode() if as_json else binary
    message = V2.decode(kind_3(fields, int(as_json), payload))
    assert message == ("3", "7", topic, "broadcast", Broadcast(event, payload, binary=not as_json))


@given(event=NAMES, content=PAYLOADS)
def test_broadcasts_are_binary_in_version_2(event: str, content: dict[str, Any]) -> None:
    payload = json.dumps(content).encode()
    frame = V2.broadcast("realtime:room", Broadcast(event, payload, id="abc"))
    assert frame is not None
    meta = b'{"id":"abc"}'
    head = bytes([4, 13, len(event.encode()), len(meta), 1])
    assert frame == (head + b"realtime:room" + event.encode() + meta + payload, True)


def test_broadcasts_are_text_in_version_1() -> None:
    frame = V1.broadcast("realtime:room", Broadcast("e", b'{"a":1}', id="abc", replayed=True))
    assert frame is not None
    assert not frame.binary
    assert json.loads(frame.data) == {
        "topic": "realtime:room",
        "event": "broadcast",
        "payload": {"type": "broadcast", "event": "e", "payload": {"a": 1}, "meta": {"id": "abc", "replayed": True}},
        "ref": None,
    }


def test_version_1_cannot_carry_bytes() -> None:
    assert V1.broadcast("t", Broadcast("e", b"\xff", binary=True)) is None


def test_names_too_long_for_the_binary_form() -> None:
    frame = V2.broadcast("t" * 256, Broadcast("e", b"{}"))
    assert frame is not None
    assert json.loads(frame.data) == [
        None,
        None,
        "t" * 256,
        "broadcast",
        {"type": "broadcast", "event": "e", "payload": {}},
    ]
    assert V2.broadcast("t" * 256, Broadcast("e", b"\xff", binary=True)) is None


def test_text_broadcasts_are_handed_on_as_they_are() -> None:
    sent = {"type": "broadcast", "event": "e", "payload": [1], "more": None}
    message = RawBroadcast(json.dumps(sent).encode())
    one, two = V1.broadcast("t", message), V2.broadcast("t", message)
    assert one is not None
    assert two is not None
    assert json.loads(one.data)["payload"] == sent
    assert json.loads(two.data) == [None, None, "t", "broadcast", sent]


@pytest.mark.parametrize(
    ("version", "frame"),
    [
        (V1, "not json"),
        (V1, "[]"),
        (V1, '"text"'),
        (V1, '{"topic":"t","event":"e","payload":{}}'),
        (V1, b"\x03"),
        (V2, "{}"),
        (V2, "[1,2]"),
        (V2, "7"),
        (V2, b""),
        (V2, b"\x04\x00\x00\x00\x00"),
        (V2, kind_3([b"1", b"2", b"t", b"e", b""], 1, b"{")),
        (V2, kind_3([b"1", b"2", b"\xff", b"e", b""], 0, b"")),
        (V2, kind_3([b"1", b"2", b"topic", b"e", b""], 0, b"")[:-4]),
    ],
)
def test_what_is_no_message(version: Any, frame: str | bytes) -> None:
    with pytest.raises(WireError):
        version.decode(frame)


@given(frame=st.binary(max_size=40))
def test_any_bytes_are_a_message_or_refused(frame: bytes) -> None:
    try:
        V2.decode(frame)
    except WireError:
        pass
    else:
        assert frame[0] in (0, 3)
