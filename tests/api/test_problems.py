"""Errors as clients see them: one form, an id to ask about, and nothing that is none of their business."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.exceptions import HTTPException
from litestar.testing import AsyncTestClient

from app.api import problem
from app.api.requests import JsonRequest, observed
from app.errors import ERRORS, AppError, ContentFlagged, NoProviderConfigured, RateLimited
from tests.support.client import assert_problem, new_conversation

SECRET = "postgresql://owner:hunter2@db/secret"  # pragma: allowlist secret


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v2/conversations", "/v1/conversation", "/health", "/metrics", "/.env"]
)
async def test_unknown_route(as_owner: httpx.AsyncClient, path: str) -> None:
    assert_problem(await as_owner.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/conversations", {"GET", "POST", "OPTIONS"}),
        ("DELETE", "/v1/conversations", {"GET", "POST", "OPTIONS"}),
        ("POST", "/v1/models", {"GET", "OPTIONS"}),
        ("GET", "/v1/messages/00000000-0000-0000-0000-000000000000/stop", {"POST", "OPTIONS"}),
        ("POST", "/health/live", {"GET", "OPTIONS"}),
        ("TRACE", "/v1/models", {"GET", "OPTIONS"}),
    ],
)
async def test_method_that_a_route_does_not_have(
    as_owner: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    refused = await as_owner.request(method, path)
    assert_problem(refused, 405, "invalid_request")
    assert set(refused.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/conversations", {"GET", "POST", "OPTIONS"}),
        ("/v1/conversations/00000000-0000-0000-0000-000000000000", {"GET", "PATCH", "DELETE", "OPTIONS"}),
        ("/v1/documents/00000000-0000-0000-0000-000000000000", {"GET", "PUT", "DELETE", "OPTIONS"}),
        ("/v1/search", {"POST", "OPTIONS"}),
        ("/health/live", {"GET", "OPTIONS"}),
    ],
)
async def test_options_of_a_path_are_all_of_its_methods(
    anonymous: httpx.AsyncClient, path: str, allowed: set[str]
) -> None:
    answer = await anonymous.options(path)
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) == allowed


async def test_errors_repeat_neither_token_nor_key(as_owner: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_owner)
    messages = f"/v1/conversations/{conversation}/messages"
    token = as_owner.headers["authorization"].split()[1]
    refusals: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/nothing", {}),
        ("PUT", "/v1/models", {}),
        ("POST", messages, {"content": b"{"}),
        ("POST", messages, {"json": {"content": "x", "model": "none"}}),
        ("GET", f"/v1/messages/{conversation}", {}),
        ("GET", "/v1/conversations", {"params": {"cursor": "!"}}),
        ("GET", "/v1/models", {"headers": {"Authorization": f"Bearer {token}x"}}),
    ]
    for method, path, request in refusals:
        refused = await as_owner.request(method, path, **request)
        assert refused.status_code >= 400
        shown = refused.text + str(refused.headers)
        for secret in (token, token[:50], "test-key-of-the-api", "sb_secret_", "sb_publishable_", "Traceback", ".py"):
            assert secret not in shown


# ── request ids ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", ["abc", "0" * 64, "f47ac10b-58cc-4372-a567-0e02b2c3d479"])
async def test_request_id_of_the_caller_is_kept(as_owner: httpx.AsyncClient, given: str) -> None:
    for path in ("/health/live", "/v1/models", "/v1/nothing"):
        response = await as_owner.get(path, headers={"X-Request-ID": given})
        assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", "-", "a b", "a\tb", "0" * 65, "<b>", '"', "é".encode(), "{}"])
async def test_other_requests_are_given_one(as_owner: httpx.AsyncClient, given: str | bytes | None) -> None:
    headers = {"X-Request-ID": given} if given is not None else {}
    ids = [(await as_owner.get("/health/live", headers=headers)).headers["x-request-id"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(len(one) == 16 and one.isalnum() for one in ids)


# ── errors of every kind, from a route that raises them ──────────────────────────────────────────────────────────


def raising(error: Exception) -> AsyncTestClient[Litestar]:
    """An application whose one route raises `error`, with the handlers of the real one."""

    @get("/")
    async def fail() -> None:
        raise error

    app = Litestar(
        [fail],
        request_class=JsonRequest,
        exception_handlers={
            AppError: problem.handle_app_error,
            HTTPException: problem.handle_http_exception,
            Exception: problem.handle_unforeseen,
        },
        logging_config=None,
        openapi_config=None,
    )
    app.asgi_handler = observed(app.asgi_handler, app.routes)
    return AsyncTestClient(app)


@pytest.mark.parametrize("code", ERRORS)
async def test_every_error_of_ours(code: str) -> None:
    error = ERRORS[code]("What happened.")
    async with raising(error) as client:
        response = await client.get("/")
    assert assert_problem(response, error.status, code) == {"detail": "What happened."}
    assert ("www-authenticate" in response.headers) == (error.status == 401)


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1, "1"), (1.01, "2"), (30, "30")])
async def test_retry_after_is_in_whole_seconds(seconds: float, header: str) -> None:
    async with raising(RateLimited(retry_after=seconds)) as client:
        assert (await client.get("/")).headers["retry-after"] == header


async def test_retry_after_is_there_only_when_it_is_known() -> None:
    async with raising(NoProviderConfigured()) as client:
        assert "retry-after" not in (await client.get("/")).headers


async def test_further_members_of_a_problem() -> None:
    async with raising(ContentFlagged(categories=["violence"])) as client:
        assert (await client.get("/")).json()["categories"] == ["violence"]


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET), ExceptionGroup("g", [ValueError(SECRET)])]
)
async def test_what_was_not_foreseen_says_nothing(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    async with raising(error) as client:
        response = await client.get("/")
    assert assert_problem(response, 500, "internal_error") == {}
    logged = capsys.readouterr()
    for shown in (response.text, logged.out, logged.err):
        assert "hunter2" not in shown
        assert "Traceback" not in shown


async def test_error_of_the_framework_says_nothing() -> None:
    async with raising(HTTPException(detail=SECRET, status_code=500)) as client:
        assert "hunter2" not in (await client.get("/")).text
