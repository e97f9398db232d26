"""Postgres' logical replication messages: inserted rows, and the progress of the log.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (protocol version 1, text values)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_KEEPALIVE_HEAD = struct.Struct(">cQqB")
_DATA_HEAD = struct.Struct(">cQQq")
# the epoch of Postgres' clock, 2000-01-01, in microseconds of Unix time
_EPOCH_MICROSECONDS = 946_684_800_000_000

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Progress:
    """The log has been read up to `end`. `wants_answer`: the server asks for a status update."""

    end: int
    wants_answer: bool


@dataclass(frozen=True, slots=True)
class Insert:
    """A committed row, its values as text."""

    row: Row


class Decoder:
    """Reads one replication stream. It keeps state, since earlier messages describe the tables of later ones."""

    def __init__(self) -> None:
        self._columns: dict[int, list[str]] = {}

    def read(self, data: bytes) -> Progress | Insert | None:
        """Read one message of the stream; None for a message that is not needed here."""
        if data[:1] == b"k":
            _, end, _, wants_answer = _KEEPALIVE_HEAD.unpack_from(data)
            return Progress(end, bool(wants_answer))
        if data[:1] != b"w":
            return None
        body = data[_DATA_HEAD.size :]
        if body[:1] == b"R":
            self._relation(body)
        elif body[:1] == b"I":
            return Insert(self._insert(body))
        elif body[:1] == b"C":
            # commit: flags, this record's position, the end of the transaction
            (end,) = struct.unpack_from(">Q", body, 10)
            return Progress(end, wants_answer=False)
        return None

    def _relation(self, body: bytes) -> None:
        (oid,) = struct.unpack_from(">I", body, 1)
        at = body.index(b"\0", 5) + 1  # past the schema
        at = body.index(b"\0", at) + 1  # past the table
        (count,) = struct.unpack_from(">H", body, at + 1)  # past the replica identity
        at += 3
        columns = []
        for _ in range(count):
            end = body.index(b"\0", at + 1)
            columns.append(body[at + 1 : end].decode())
            at = end + 1 + 8  # past the type and its modifier
        self._columns[oid] = columns

    def _insert(self, body: bytes) -> Row:
        (oid,) = struct.unpack_from(">I", body, 1)
        row: Row = {}
        at = 1 + 4 + 1 + 2
        for column in self._columns[oid]:
            kind = body[at : at + 1]
            at += 1
            row[column] = None
            if kind == b"t":
                (length,) = struct.unpack_from(">I", body, at)
                at += 4
                row[column] = body[at : at + length].decode()
                at += length
        return row


def status_update(read_up_to: int, now: float) -> bytes:
    """A message that tells the server how far the log has been read, at `now` in Unix seconds."""
    clock = int(now * 1_000_000) - _EPOCH_MICROSECONDS
    return struct.pack(">cQQQqB", b"r", read_up_to, read_up_to, read_up_to, clock, 0)
