"""Reading the replication stream: what Postgres really sends, byte for byte."""

from __future__ import annotations

import struct

from scripts.local_supabase.realtime.pgoutput import Decoder, Insert, Progress, status_update


def data(body: bytes) -> bytes:
    return struct.pack(">cQQq", b"w", 1, 2, 3) + body


RELATION = (
    b"R" + struct.pack(">I", 42) + b"realtime\0messages_2026_11_22\0d" + struct.pack(">H", 2)
    + b"\x01topic\0" + struct.pack(">Ii", 25, -1) + b"\x00payload\0" + struct.pack(">Ii", 3802, -1)
)  # fmt: skip


def row(*values: str | None) -> bytes:
    encoded = b""
    for value in values:
        text = b"" if value is None else value.encode()
        encoded += b"n" if value is None else b"t" + struct.pack(">I", len(text)) + text
    return b"I" + struct.pack(">I", 42) + b"N" + struct.pack(">H", len(values)) + encoded


def test_rows() -> None:
    decoder = Decoder()
    assert decoder.read(data(RELATION)) is None
    assert decoder.read(data(row("room", '{"é": 1}'))) == Insert({"topic": "room", "payload": '{"é": 1}'})
    assert decoder.read(data(row(None, ""))) == Insert({"topic": None, "payload": ""})


def test_progress() -> None:
    decoder = Decoder()
    assert decoder.read(struct.pack(">cQqB", b"k", 99, 0, 1)) == Progress(99, wants_answer=True)
    assert decoder.read(data(struct.pack(">cBQQq", b"C", 0, 10, 20, 0))) == Progress(20, wants_answer=False)


def test_other_messages_are_passed_over() -> None:
    assert Decoder().read(data(struct.pack(">cQqI", b"B", 1, 2, 3))) is None


def test_status_update() -> None:
    kind, written, flushed, applied, clock, reply = struct.unpack(">cQQQqB", status_update(7, 946_684_801.5))
    assert (kind, written, flushed, applied, clock, reply) == (b"r", 7, 7, 7, 1_500_000, 0)
