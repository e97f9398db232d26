"""The server's own connections to the database: a few shared ones, which are replaced when they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_CONNECTIONS = 4


class DatabaseUnavailable(Exception):
    """The database cannot be reached."""


class Database:
    """Provides connections as the platform's administrator, at most four at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(_CONNECTIONS)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A connection in a transaction that is rolled back. Raises DatabaseUnavailable."""
        async with self._places:
            connection = await self._take()
            try:
                yield connection
                await connection.rollback()
                self._idle.append(connection)
            except psycopg.OperationalError as error:
                await connection.close()
                raise DatabaseUnavailable from error
            except BaseException:
                await connection.close()
                raise

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute("select 1")
            except psycopg.OperationalError:
                await connection.close()
            else:
                return connection
        try:
            return await psycopg.AsyncConnection.connect(
                self._url,
                application_name="realtime",
                connect_timeout=5,
                options="-c statement_timeout=5s -c timezone=UTC",
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable from error
