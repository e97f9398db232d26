"""Liveness and readiness, with Supabase there, gone and coming back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from app.api.health import PING_SECONDS, Readiness
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.client import assert_problem
from tests.service import Person, running_api


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_service_that_is_well(anonymous: httpx.AsyncClient, path: str) -> None:
    answer = await anonymous.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_service_whose_supabase_cannot_be_reached(stack: LocalSupabase, owner: Person, tmp_path: Path) -> None:
    """It starts, lives, says that it is not ready, and answers every request with whose fault that is."""
    dead = f"http://127.0.0.1:{free_port()}"
    async with running_api(stack, tmp_path / "api.log", until="/health/live", SUPABASE_URL=dead) as api:
        async with httpx.AsyncClient(base_url=api.url) as client:
            unready = await client.get("/health/ready")
            assert_problem(unready, 503, "supabase_unavailable")
            assert int(unready.headers["retry-after"]) >= 1
            for path in ("/v1/conversations", "/v1/models"):
                refused = await client.get(path, headers=owner.headers)
                assert_problem(refused, 503, "supabase_unavailable")
                assert int(refused.headers["retry-after"]) >= 1
            assert_problem(await client.get("/v1/models"), 401, "unauthenticated")
        api.terminate()
        assert await api.ended(10) == 0


class Pinged:
    """A Supabase that counts how often it is asked."""

    def __init__(self) -> None:
        self.pings = 0
        self.up = True

    async def ping(self) -> bool:
        self.pings += 1
        await asyncio.sleep(0)
        return self.up


async def test_supabase_is_asked_once_however_many_ask() -> None:
    supabase = Pinged()
    readiness = Readiness(supabase)  # type: ignore[arg-type]
    assert all(await asyncio.gather(*(readiness.reachable() for _ in range(50))))
    assert supabase.pings == 1


async def test_answer_is_good_for_a_second() -> None:
    now = 1000.0
    supabase = Pinged()
    readiness = Readiness(supabase, clock=lambda: now)  # type: ignore[arg-type]
    assert await readiness.reachable()
    supabase.up = False
    now += PING_SECONDS
    assert await readiness.reachable()
    now += 0.1
    assert not await readiness.reachable()
    supabase.up = True
    now += PING_SECONDS + 0.1
    assert await readiness.reachable()
    assert supabase.pings == 3
