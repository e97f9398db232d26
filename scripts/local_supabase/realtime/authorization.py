"""Authorization: what a caller may do on a private topic, by the policies on realtime.messages and with probe rows.

Reading: rows of the topic are inserted, selected as the caller, and rolled back. Writing: the caller inserts one.
The probe rows have no event and no payload, so a policy can depend only on the topic and the extension.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import psycopg

from scripts.local_supabase.realtime.database import Connection, Database
from scripts.local_supabase.realtime.tokens import Claims

Extension = Literal["broadcast", "presence"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The role and the claims of a caller, and the x- headers of the connection."""

    claims: Claims
    headers: Mapping[str, str]


async def readable(database: Database, caller: Caller, topic: str, extensions: list[Extension]) -> set[Extension]:
    """Those of `extensions` that the caller may receive on the topic. Raises DatabaseUnavailable.

    A policy that raises an error counts as a refusal.
    """
    probes = {uuid.uuid4(): extension for extension in extensions}
    async with database.transaction() as connection:
        try:
            for probe, extension in probes.items():
                await connection.execute(
                    "insert into realtime.messages (id, topic, extension) values (%s, %s, %s)",
                    [probe, topic, extension],
                )
            await _become(connection, caller, topic)
            found = await connection.execute(
                "select id from realtime.messages where topic = %s and id = any(%s)", [topic, list(probes)]
            )
            return {probes[row[0]] for row in await found.fetchall()}
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            return set()


async def writable(database: Database, caller: Caller, topic: str, extension: Extension) -> bool:
    """Whether the caller may send on the topic. Raises DatabaseUnavailable."""
    async with database.transaction() as connection:
        try:
            await _become(connection, caller, topic)
            await connection.execute(
                "insert into realtime.messages (topic, extension) values (%s, %s)", [topic, extension]
            )
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            return False
        return True


async def _become(connection: Connection, caller: Caller, topic: str) -> None:
    claims = caller.claims
    await connection.execute(
        "select set_config('role', %s, true), set_config('realtime.topic', %s, true), "
        "set_config('request.jwt.claims', %s, true), set_config('request.jwt.claim.sub', %s, true), "
        "set_config('request.jwt.claim.role', %s, true), set_config('request.headers', %s, true)",
        [
            claims["role"],
            topic,
            json.dumps(claims),
            str(claims.get("sub") or ""),
            claims["role"],
            json.dumps(dict(caller.headers)),
        ],
    )
