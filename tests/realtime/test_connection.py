"""A connection of which one half has failed: it ends as a whole, so that the client comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scripts.local_supabase.realtime.connection import Connection, Project
from scripts.local_supabase.realtime.hub import Hub
from scripts.local_supabase.realtime.limits import Limits
from scripts.local_supabase.realtime.wire import Frame, serializer


class Socket:
    """Its client takes nothing and says nothing, until the connection is cut."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure
        self._cut = asyncio.Event()

    async def send_frame(self, *_: Any) -> None:
        raise self._failure

    async def receive(self, timeout: float) -> Any:
        await self._cut.wait()
        raise ConnectionResetError

    def abort(self) -> None:
        self._cut.set()


@pytest.mark.parametrize("failure", [ConnectionResetError("gone"), ValueError("a fault of ours")])
async def test_a_writer_that_fails_cuts_the_client_off(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    socket: Any = Socket(failure)
    nothing: Any = None
    project = Project(Hub(Limits()), nothing, nothing, nothing, private_only=False)
    version = serializer("2.0.0")
    assert version is not None
    connection = Connection(project, socket, socket, version, {}, {})
    connection.send(Frame(b"something", binary=False))
    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(30):
            await connection.run()
    assert project.connections == set()
    # a client that has gone is no fault
    assert ("a fault of ours" in caplog.text) == isinstance(failure, ValueError)
