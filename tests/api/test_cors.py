"""Pages of other origins: none unless they are named, and those may use all of the API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from scripts.local_supabase import LocalSupabase
from scripts.run import LOCAL_PAGES
from tests.support.client import person_client
from tests.support.service import Person, running_api

FRONTEND, OTHER = "https://app.example.com", "https://evil.example.com"
HEADERS = ("authorization", "content-type", "idempotency-key", "last-event-id", "prefer", "x-request-id")


@pytest.fixture(scope="module")
async def client(
    stack: LocalSupabase, owner: Person, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[httpx.AsyncClient]:
    """The owner's client of an API that names two origins."""
    log: Path = tmp_path_factory.mktemp("cors") / "api.log"
    async with (
        running_api(
            stack,
            log,
            CORS_ALLOW_ORIGINS=f"{FRONTEND}, http://localhost:5173, {', '.join(LOCAL_PAGES)}",
            # so that few requests reach it
            RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE="1",
        ) as api,
        person_client(api, owner) as client,
    ):
        yield client


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(HEADERS),
    }


LOCAL = ["http://localhost", "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:5173", "http://[::1]"]
"""Of the pages that `make run` lets in, see `LOCAL_PAGES`."""


@pytest.mark.parametrize("origin", [FRONTEND, *LOCAL])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_preflight_of_a_named_origin(client: httpx.AsyncClient, origin: str, method: str) -> None:
    answer = await client.options("/v1/conversations", headers=preflight(origin, method))
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert method in answer.headers["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert set(HEADERS) <= allowed
    assert "access-control-allow-credentials" not in answer.headers


async def test_preflight_of_a_client_library(client: httpx.AsyncClient) -> None:
    """It may send headers of its own: what keeps others out is the origin."""
    asked = preflight(FRONTEND) | {"Access-Control-Request-Headers": "authorization,x-stainless-os,x-any-other"}
    answer = await client.options("/v1/conversations", headers=asked)
    assert answer.status_code == 204
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "x-stainless-os", "x-any-other"} <= allowed


async def test_preflight_of_another_origin(client: httpx.AsyncClient) -> None:
    answer = await client.options("/v1/conversations", headers=preflight(OTHER))
    assert "access-control-allow-origin" not in answer.headers


EXPOSED = {
    *("content-disposition", "idempotency-replayed", "location", "preference-applied"),
    *("ratelimit", "ratelimit-policy", "retry-after", "x-request-id", "x-should-retry"),
}


def assert_readable(answer: httpx.Response, origin: str) -> None:
    """A page of this origin may read the answer and the headers that say something."""
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= EXPOSED
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [FRONTEND, *LOCAL])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200),
        ("GET", "/health/live", 200),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/conversations/01a22302-9b92-7183-ac26-13148b039732", 404),
        ("GET", "/v1/conversations?limit=0", 422),
        ("DELETE", "/v1/models", 405),
    ],
)
async def test_answers_and_errors_may_be_read_by_a_named_origin(
    client: httpx.AsyncClient, origin: str, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path, headers={"Origin": origin})
    assert answer.status_code == status
    assert_readable(answer, origin)


async def test_refusals_of_a_body_may_be_read_by_a_named_origin(client: httpx.AsyncClient) -> None:
    conversation = (await client.post("/v1/conversations")).json()["id"]
    answer = await client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"content": "Hello", "provider": "demo", "model": "another"},
        headers={"Origin": FRONTEND},
    )
    assert answer.status_code == 422
    assert_readable(answer, FRONTEND)


async def test_refusals_of_strangers_may_be_read_by_a_named_origin(client: httpx.AsyncClient) -> None:
    """The first ones are told that they have no token, the others to come back later."""
    forged = {"Origin": FRONTEND, "Authorization": "Bearer forged"}
    answers = [await client.get("/v1/models", headers=forged) for _ in range(3)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert {answer.status_code for answer in answers} <= {401, 429}
    for answer in answers:
        assert_readable(answer, FRONTEND)


async def test_an_error_that_nobody_expected_may_be_read_by_a_named_origin(stack: LocalSupabase) -> None:
    settings = Settings(
        supabase_url=stack.url,
        supabase_publishable_key=stack.publishable_key,
        supabase_secret_key=stack.secret_key,
        cors_allow_origins=(FRONTEND,),
    )
    app = create_app(settings)

    async def broken() -> None:
        raise RuntimeError("unforeseen")

    app.state.service.project.check = broken
    try:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            answer = await client.get("/health/ready", headers={"Origin": FRONTEND})
    finally:
        await app.state.service.supabase.aclose()
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert_readable(answer, FRONTEND)


async def test_streams_may_be_read_by_a_named_origin(client: httpx.AsyncClient) -> None:
    conversation = (await client.post("/v1/conversations")).json()["id"]
    answer = await client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"content": "Hello", "max_tokens": 3},
        headers={"Origin": FRONTEND, "Accept": "text/event-stream"},
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRONTEND


@pytest.mark.parametrize(
    "origin",
    [
        *(OTHER, "null", f"{FRONTEND}.evil.example", "http://app.example.com", ""),
        *("https://localhost:3000", "http://localhost.evil.example", "http://localhost:3000.evil.example"),
        *("http://localhost:evil", "http://127.0.0.2:3000", "http://evil.example:3000", "http://evil-localhost:3000"),
    ],
)
async def test_answers_are_kept_from_other_origins(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.get("/v1/models", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_no_origin_is_named_unless_it_is_set(as_owner: httpx.AsyncClient) -> None:
    for origin in (FRONTEND, OTHER, *LOCAL):
        assert (
            "access-control-allow-origin" not in (await as_owner.get("/v1/models", headers={"Origin": origin})).headers
        )
        answer = await as_owner.options("/v1/models", headers=preflight(origin, "GET"))
        assert "access-control-allow-origin" not in answer.headers
