"""Pages of other origins: none unless they are named, and those may use all of the API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.client import person_client
from tests.service import Person, running_api

FRONTEND, OTHER = "https://app.example.com", "https://evil.example.com"
HEADERS = ("authorization", "content-type", "idempotency-key", "last-event-id", "prefer", "x-request-id")


@pytest.fixture(scope="module")
async def client(
    stack: LocalSupabase, owner: Person, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[httpx.AsyncClient]:
    """The owner's client of an API that names two origins."""
    log: Path = tmp_path_factory.mktemp("cors") / "api.log"
    async with (
        running_api(stack, log, CORS_ALLOW_ORIGINS=f"{FRONTEND}, http://localhost:5173") as api,
        person_client(api, owner) as client,
    ):
        yield client


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(HEADERS),
    }


@pytest.mark.parametrize("origin", [FRONTEND, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_preflight_of_a_named_origin(client: httpx.AsyncClient, origin: str, method: str) -> None:
    answer = await client.options("/v1/conversations", headers=preflight(origin, method))
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert method in answer.headers["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert set(HEADERS) <= allowed
    assert "access-control-allow-credentials" not in answer.headers


async def test_preflight_of_another_origin(client: httpx.AsyncClient) -> None:
    answer = await client.options("/v1/conversations", headers=preflight(OTHER))
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing", "/v1/conversations?limit=0", "/health/live"])
async def test_answers_and_errors_may_be_read_by_a_named_origin(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Origin": FRONTEND})
    assert answer.headers["access-control-allow-origin"] == FRONTEND
    assert "Origin" in answer.headers["vary"]
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"location", "retry-after", "x-request-id", "idempotency-replayed"} <= exposed


async def test_streams_may_be_read_by_a_named_origin(client: httpx.AsyncClient) -> None:
    conversation = (await client.post("/v1/conversations")).json()["id"]
    answer = await client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"content": "Hello", "max_tokens": 3},
        headers={"Origin": FRONTEND, "Accept": "text/event-stream"},
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRONTEND


@pytest.mark.parametrize("origin", [OTHER, "null", f"{FRONTEND}.evil.example", "http://app.example.com", ""])
async def test_answers_are_kept_from_other_origins(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.get("/v1/models", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_no_origin_is_named_unless_it_is_set(as_owner: httpx.AsyncClient) -> None:
    for origin in (FRONTEND, OTHER):
        assert (
            "access-control-allow-origin" not in (await as_owner.get("/v1/models", headers={"Origin": origin})).headers
        )
        answer = await as_owner.options("/v1/models", headers=preflight(origin, "GET"))
        assert "access-control-allow-origin" not in answer.headers
