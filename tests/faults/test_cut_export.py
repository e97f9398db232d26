"""An export that fails on its way is cut, and the log says so alone."""

from __future__ import annotations

import json

import aiohttp
import psycopg
import pytest

from tests.support.cluster import Cluster, own
from tests.support.replica_client import eventually

__all__ = ["own"]


async def test_export_whose_database_fails_is_cut_and_no_error(own: Cluster) -> None:
    database = await own.database()
    api = await own.replica(database)
    client = await own.client()
    with psycopg.connect(own.stack.database_url, autocommit=True) as owner:
        owner.execute(
            "with made as (insert into public.conversations (user_id, title) values (%s, 'long') returning *) "
            "insert into public.messages (conversation_id, user_id, role, content) "
            "select made.id, made.user_id, 'user', repeat('x', 100000) from made, generate_series(1, 20)",
            [client.person.id],
        )
    for _ in range(10):
        database.lose_answer(b"/rpc/export_messages")
    async with client.session.get(f"{api.url}/v1/export", headers=client.person.headers) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    await eventually(lambda: "request.done" in api.log_text, within=30)
    events = [json.loads(line) for line in api.log_text.splitlines()]
    assert [line["error"] for line in events if line["event"] == "export.cut"] == ["supabase_unavailable"]
    assert [line for line in events if line["level"] == "error"] == []
