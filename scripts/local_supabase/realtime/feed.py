"""Broadcasts from the database: each row committed to realtime.messages, in the order of commits.

They are read from the write-ahead log through a temporary replication slot, as the real server does. So a row of any
size is passed on when its transaction commits, and one that is rolled back never. psycopg's connections do not support
the replication protocol, but the libpq below them does (psycopg.pq).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from psycopg import OperationalError, pq
from psycopg.pq.abc import PGconn, PGresult

from scripts.local_supabase.realtime.pgoutput import Decoder, Insert, Progress, Row, status_update
from scripts.local_supabase.realtime.wire import Broadcast

_PUBLICATION = "supabase_realtime_messages_publication"
_STATUS_SECONDS = 0.1
"""The time between two reports of what has been read. Postgres needs one per minute. But sometimes it goes to sleep
just when a transaction commits, and would wake up only with the next one; a report wakes it earlier."""
_PAUSE_SECONDS = 0.5

_log = logging.getLogger("realtime")

Receiver = Callable[[str, bool, Broadcast], None]
"""Receives a broadcast: the topic, whether it is private, and the message."""


class FeedBroken(Exception):
    """The stream could not be opened, or has ended."""


class Feed:
    """The stream of rows. Rows that are committed while it is not `running` are not broadcast."""

    def __init__(self, url: str, receive: Receiver, lost: Callable[[], None]) -> None:
        self._url = url
        self._receive = receive
        self._lost = lost
        self.running = False

    async def run(self, ready: asyncio.Event) -> None:
        """Read for as long as the process runs, and connect again when the stream ends. Sets `ready` once it runs.

        `lost` is called when the stream ends, since listeners miss messages until it runs again.
        """
        while True:
            try:
                await self._stream(ready)
            except FeedBroken as error:
                _log.warning("the stream of database messages: %s", error)
            except Exception:
                # no other task waits for this one, so log the error here, and try again
                _log.exception("the stream of database messages")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _stream(self, ready: asyncio.Event) -> None:
        """One connection, until it ends. Raises FeedBroken."""
        connection = await asyncio.to_thread(_open, self._url)
        try:
            self.running = True
            ready.set()
            await self._read(connection)
        finally:
            self.running = False
            connection.finish()
            self._lost()

    async def _read(self, connection: PGconn) -> None:
        loop = asyncio.get_running_loop()
        decoder = Decoder()
        readable = asyncio.Event()
        read_up_to = 0
        report_at = 0.0
        # kept, because a lost connection no longer has its socket
        with _broken_when_lost():
            socket = connection.socket
        loop.add_reader(socket, readable.set)
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_STATUS_SECONDS):
                        await readable.wait()
                readable.clear()
                with _broken_when_lost():
                    connection.consume_input()
                while (data := _next(connection)) is not None:
                    message = decoder.read(data)
                    if isinstance(message, Insert):
                        self._hand_on(message.row)
                    elif isinstance(message, Progress):
                        read_up_to = max(read_up_to, message.end)
                        if message.wants_answer:
                            report_at = 0.0
                if loop.time() >= report_at:
                    _report(connection, read_up_to)
                    report_at = loop.time() + _STATUS_SECONDS
        finally:
            loop.remove_reader(socket)

    def _hand_on(self, row: Row) -> None:
        topic, event, private = row["topic"], row["event"], row["private"]
        payload, binary = row["payload"], row["binary_payload"]
        if topic is None or event is None or private is None:
            return
        if payload is not None:
            self._receive(topic, private == "t", Broadcast(event, payload.encode(), id=row["id"]))
        elif binary is not None:
            content = bytes.fromhex(binary.removeprefix("\\x"))
            self._receive(topic, private == "t", Broadcast(event, content, binary=True, id=row["id"]))


@contextmanager
def _broken_when_lost() -> Iterator[None]:
    """Turns libpq's errors about a lost connection into FeedBroken."""
    try:
        yield
    except OperationalError as error:
        raise FeedBroken(str(error)) from error


def _open(url: str) -> PGconn:
    """A connection in streaming mode. Raises FeedBroken."""
    with_parameters = f"{url}?replication=database&application_name=realtime_replication_connection&connect_timeout=5"
    connection: PGconn = pq.PGconn.connect(with_parameters.encode())
    try:
        if connection.status != pq.ConnStatus.OK:
            raise FeedBroken("cannot connect")
        found = _run(connection, f"select from pg_publication where pubname = '{_PUBLICATION}'")
        if found.ntuples == 0:
            _run(connection, f"create publication {_PUBLICATION} for table realtime.messages with (publish = 'insert')")
        slot = f"supabase_realtime_messages_replication_slot_{secrets.token_hex(4)}"
        _run(connection, f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
        _run(
            connection,
            f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names '{_PUBLICATION}')",
        )
        connection.nonblocking = 1
    except BaseException:
        connection.finish()
        raise
    return connection


def _run(connection: PGconn, command: str) -> PGresult:
    with _broken_when_lost():
        result = connection.exec_(command.encode())
    if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COPY_BOTH):
        raise FeedBroken(result.error_message.decode(errors="replace").strip())
    return result


def _next(connection: PGconn) -> bytes | None:
    """The next complete message; None when there is none yet. Raises FeedBroken at the end of the stream."""
    with _broken_when_lost():
        length, data = connection.get_copy_data(1)
    if length == 0:
        return None
    if length < 0:
        raise FeedBroken("the server has ended it")
    return bytes(data)


def _report(connection: PGconn, read_up_to: int) -> None:
    with _broken_when_lost():
        connection.put_copy_data(status_update(read_up_to, time.time()))
        connection.flush()
