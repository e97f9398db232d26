"""Liveness and readiness, with Supabase there, gone and coming back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from app.api.health import CHECK_SECONDS, Readiness
from app.errors import AppError, SupabaseRefused, SupabaseUnavailable
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support.client import assert_problem
from tests.support.service import Person, running_api


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
            problem = assert_problem(unready, 503, "supabase_unavailable")
            assert problem["detail"] == "SUPABASE_URL cannot be reached: no server answers there."
            assert int(unready.headers["retry-after"]) >= 1
            for path in ("/v1/conversations", "/v1/models"):
                refused = await client.get(path, headers=owner.headers)
                assert_problem(refused, 503, "supabase_unavailable")
                assert int(refused.headers["retry-after"]) >= 1
            assert_problem(await client.get("/v1/models"), 401, "unauthenticated")
        api.terminate()
        assert await api.ended(10) == 0


class Project:
    """One that counts how often it is checked."""

    def __init__(self) -> None:
        self.checks = 0
        self.problem: AppError | None = None

    async def check(self) -> None:
        self.checks += 1
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem


async def test_supabase_is_asked_once_however_many_ask() -> None:
    project = Project()
    readiness = Readiness(project)
    assert await asyncio.gather(*(readiness.problem() for _ in range(50))) == [None] * 50
    assert project.checks == 1


@pytest.mark.parametrize("problem", [SupabaseUnavailable("Away."), SupabaseRefused("No.", setting="SUPABASE_URL")])
async def test_answer_is_good_for_a_second(problem: AppError) -> None:
    now = 1000.0
    project = Project()
    readiness = Readiness(project, clock=lambda: now)
    assert await readiness.problem() is None
    project.problem = problem
    now += CHECK_SECONDS
    assert await readiness.problem() is None
    now += 0.1
    assert await readiness.problem() is problem
    project.problem = None
    now += CHECK_SECONDS + 0.1
    assert await readiness.problem() is None
    assert project.checks == 3
