"""Google's official SDK, google-genai: makes its client, sends requests and translates its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import quote

import httpx2
from google.genai import Client, errors, types

from app.errors import BrokenStream
from app.providers.answers import document
from app.providers.base_url import BaseUrl
from app.providers.description import Configuration
from app.providers.failures import failure, retry_after, unreachable
from app.providers.gemini.description import API_KEY, BASE_URL, NAME
from app.providers.gemini.wire import ErrorBody, error_of, failure_of
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, TRANSPORT_ERRORS, sdk_client

T = TypeVar("T")

API_VERSION = "v1beta"
"""The version with system instructions and thinking, and the one that compatible servers have."""

APPENDED = (f"/{API_VERSION}/models", f"/{API_VERSION}", "/v1alpha", "/v1")
"""Endings of a base URL that are removed, because the SDK appends its own version."""


def make_client(configuration: Configuration) -> tuple[Client, httpx2.AsyncClient]:
    """Google's SDK without its retries and timeouts, and its HTTP client."""
    base = BaseUrl.parse(configuration.required(BASE_URL)).without(APPENDED)
    http_client = sdk_client(configuration.connect_timeout, base.query)
    options = types.HttpOptions(
        base_url=base.url,
        api_version=API_VERSION,
        httpx_async_client=http_client,
        # by default the SDK may retry a lost connection after some seconds
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return Client(vertexai=False, api_key=configuration.required(API_KEY), http_options=options), http_client


def model_path(model: str) -> str:
    """The path of a model. The name may come from a user, so it is quoted and cannot change the rest of the path."""
    return f"models/{quote(model.removeprefix('models/'), safe='')}"


async def call(
    client: Client, method: str, path: str, body: dict[str, object], type_: type[T], *, model: str | None
) -> T:
    """Ask Gemini for one JSON document. Raises `ProviderError`."""
    with translated(model):
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            answer = await client._api_client.async_request(method, path, body)
    return document(answer.body or "", type_, provider=NAME, model=model)


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except errors.APIError as exc:
        raise failure_of(_error(exc), model, _retry_after(exc)) from exc
    except TRANSPORT_ERRORS as exc:
        raise unreachable(exc, provider=NAME, model=model) from exc
    except (ValueError, RecursionError) as exc:
        # raised by the SDK when an answer is not JSON
        raise failure(BrokenStream, type(exc).__name__, provider=NAME, model=model) from exc


def _error(exc: errors.APIError) -> ErrorBody:
    error = error_of(exc.details)
    error.code = exc.code
    return error


def _retry_after(exc: errors.APIError) -> float | None:
    response = exc.response
    return retry_after(response.headers) if isinstance(response, httpx2.Response) else None
