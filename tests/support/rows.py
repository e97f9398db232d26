"""Stored rows, as the database's owner sees them: no policy and no API in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from scripts.local_supabase import LocalSupabase


class Rows:
    """Looks at messages. Blocking, but short."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection

    def all(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        """What a statement returns; its arguments in order, or one mapping."""
        named = arguments[0] if arguments and isinstance(arguments[0], dict) else arguments
        cursor = self._connection.execute(statement.encode(), named or None)
        return cursor.fetchall() if cursor.description else []

    def message(self, message_id: str | None) -> dict[str, Any]:
        """A message's row."""
        (row,) = self.all("select * from public.messages where id = %s", message_id)
        return row

    def of(self, user_id: str, role: str | None = None) -> list[dict[str, Any]]:
        """A user's messages, oldest first."""
        return self.all(
            "select * from public.messages where user_id = %s and role = coalesce(%s, role) order by position",
            user_id,
            role,
        )

    def streaming(self, user_id: str) -> int:
        """How many of a user's replies have not ended."""
        return sum(row["status"] == "streaming" for row in self.of(user_id, "assistant"))

    def leases(self, user_id: str) -> int:
        """How many rows of `live_replies` a user has."""
        return len(self.all("select from private.live_replies where user_id = %s", user_id))

    def expire(self, message_id: str | None) -> None:
        """Let a reply's lease run out now: its writer counts as dead."""
        self.all(
            "update private.live_replies set lease_expires_at = now() where message_id = %s returning message_id",
            message_id,
        )


@pytest.fixture(scope="session")
def rows(stack: LocalSupabase) -> Iterator[Rows]:
    with psycopg.connect(stack.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield Rows(connection)
