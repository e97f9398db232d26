"""A background job that dies fails readiness and works again; a part that does not close holds nothing up."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from app import main
from app.chat.finder import ReplyFinder
from app.chat.journal import Journal
from app.chat.live import Followers
from app.main import CLOSE_SECONDS, Service
from app.providers.deferred import DeferredProvider
from app.retrieval.indexer import Indexer
from app.routing.wiring import Routing
from app.store.client import Supabase
from app.supervisor import LEAST_SECONDS, Supervisor
from scripts.local_supabase import LocalSupabase
from tests.faults.inside import inside
from tests.support.replica_client import Client, eventually
from tests.support.upstream import Upstream


@pytest.mark.parametrize(
    ("name", "owner", "attribute"),
    [
        ("journal", Journal, "run"),
        ("journal", Journal, "_append"),
        ("watch", Followers, "watch"),
        ("recovery", main, "recover"),
        ("indexer", Indexer, "run"),
        ("indexer", Indexer, "_renew"),
    ],
)
async def test_a_job_that_dies_works_again(
    stack: LocalSupabase, upstream: Upstream, client: Client, name: str, owner: Any, attribute: str
) -> None:
    working = getattr(owner, attribute)
    died = False

    async def dies_once(*arguments: Any) -> Any:
        nonlocal died
        if died:
            return await working(*arguments)
        died = True
        raise RuntimeError("a bug")

    async def ready(status: int, detail: str | None) -> bool:
        answered, body, _ = await client.call(running, "GET", "/health/ready")
        return (answered, body.get("detail")) == (status, detail)

    # long enough to be seen on a busy machine
    with patch.object(owner, attribute, dies_once), patch("app.supervisor.FIRST_PAUSE", 3.0):
        async with inside(stack, upstream) as running:
            conversation = await client.new_conversation(running)
            sending = asyncio.create_task(client.send(running, conversation, {"tokens": 30, "gap": 0.05}))
            await eventually(
                lambda: ready(503, f"Background jobs that failed and will be started again: {name}."), within=15
            )
            await eventually(lambda: ready(200, None), within=15)
            for transcript in (await sending, await client.send(running, conversation, {"tokens": 3})):
                assert transcript.ending is not None
                assert transcript.ending.name == "done"


async def test_parts_are_closed_in_order_and_none_holds_the_others_up(
    stack: LocalSupabase, upstream: Upstream, client: Client
) -> None:
    closed: list[str] = []

    def closing(owner: Any, attribute: str, ends: str) -> Any:
        really = getattr(owner, attribute)

        async def close(*arguments: Any) -> None:
            closed.append(owner.__name__)
            await really(*arguments)
            if ends == "hangs":
                await asyncio.sleep(3600)
            if ends == "fails":
                raise RuntimeError("a bug")

        return patch.object(owner, attribute, close)

    time = asyncio.get_running_loop().time
    with (
        closing(Service, "drain", "fails"),
        closing(Supervisor, "aclose", "fails"),
        closing(ReplyFinder, "aclose", ""),
        closing(Routing, "aclose", "hangs"),
        closing(DeferredProvider, "aclose", "hangs"),
        closing(Supabase, "aclose", ""),
    ):
        async with inside(stack, upstream) as running:
            assert (await client.call(running, "GET", "/health/live"))[0] == 200
            began = time()
    # readers twice: the drain lets those go that there are, and some may come after it
    assert closed == ["Service", "ReplyFinder", "Supervisor", "ReplyFinder", "Routing", "DeferredProvider", "Supabase"]
    # the drain of an idle process, the server's own look at its signals, and what closing may take
    assert time() - began < 2 + CLOSE_SECONDS + 10 * LEAST_SECONDS
