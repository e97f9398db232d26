"""The database as its owner sees it, on a connection of its own for each query: the database is restarted meanwhile."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from scripts.local_supabase import LocalSupabase


async def query(stack: LocalSupabase, statement: str, *arguments: Any, absent: bool = False) -> list[dict[str, Any]]:
    """The rows of a statement. With `absent`, none while the database does not answer."""
    try:
        async with await psycopg.AsyncConnection.connect(
            stack.superuser_url, autocommit=True, row_factory=dict_row, connect_timeout=5
        ) as connection:
            cursor = await connection.execute(statement.encode(), arguments or None)
            return await cursor.fetchall() if cursor.description else []
    except psycopg.OperationalError:
        if absent:
            return []
        raise
