"""Calls of providers for titles are counted like those for replies, those that fail too."""

from __future__ import annotations

import httpx

from tests.support.client import turn
from tests.support.replica_client import eventually
from tests.support.scrapes import Scrape, scrape
from tests.support.upstream import MODEL, Upstream
from tests.titles.conftest import CHEAP

CALLS, FAILURES = "parley_provider_calls_total", "parley_provider_failures_total"
TITLE = {"kind": "title", "provider": "openai", "model": CHEAP}
REPLY = {"kind": "reply", "provider": "openai", "model": MODEL}


async def after(client: httpx.AsyncClient, conversation: str, metrics: str) -> tuple[Scrape, Scrape]:
    """What is counted before a turn, and when the title that follows it has been paid for."""
    before = await scrape(metrics)
    await turn(client, conversation, "Where in Kyoto is the best matcha?")

    async def counted() -> bool:
        read = await scrape(metrics)
        return read.total(CALLS, **TITLE) > before.total(CALLS, **TITLE) and (
            read.total("parley_queue_depth", queue="titles") == 0
        )

    await eventually(counted, within=60)
    return before, await scrape(metrics)


async def test_a_title_is_one_call(client: httpx.AsyncClient, conversation: str, metrics: str) -> None:
    before, read = await after(client, conversation, metrics)
    assert read.total(CALLS, **TITLE) - before.total(CALLS, **TITLE) == 1
    assert read.total(CALLS, **REPLY) - before.total(CALLS, **REPLY) == 1
    assert read.total(FAILURES) == before.total(FAILURES)


async def test_a_title_that_fails_is_a_call_that_failed(
    client: httpx.AsyncClient, conversation: str, provider: Upstream, metrics: str
) -> None:
    """Among the calls of each provider there are all that failed, so a share of them is at most 1."""
    provider.by_model[CHEAP] = {"id": "title", "tokens": 0}
    before, read = await after(client, conversation, metrics)
    failed = read.total(FAILURES, **TITLE, error="empty_reply") - before.total(FAILURES, **TITLE, error="empty_reply")
    assert failed == 1
    assert read.total(CALLS, **TITLE) - before.total(CALLS, **TITLE) == 1
    assert read.total(FAILURES, kind="reply") == before.total(FAILURES, kind="reply")
