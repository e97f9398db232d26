"""OpenAI's official SDK: makes its client, sends requests and translates its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx2
import openai
from openai import AsyncOpenAI

from app.errors import RequestRefused
from app.providers.answers import document
from app.providers.base_url import BaseUrl
from app.providers.description import Configuration
from app.providers.failures import failure, retry_after, unreachable
from app.providers.openai.description import API_KEY, BASE_URL, NAME
from app.providers.openai.wire import error_of, failure_of
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, TRANSPORT_ERRORS, sdk_client

T = TypeVar("T")


OWN_HOSTS = {"api.openai.com": "/v1", ".openai.azure.com": "/openai/v1"}
"""Endings of the hosts of OpenAI and Azure, and the path of their API. For other servers the setting must name it."""


def make_client(configuration: Configuration) -> AsyncOpenAI:
    """OpenAI's SDK without its retries and timeouts."""
    base = BaseUrl.parse(configuration.required(BASE_URL)).without(("/chat/completions",))
    if not base.path:
        path = next((path for host, path in OWN_HOSTS.items() if base.host.endswith(host)), "")
        base = BaseUrl(base.url + path, base.query)
    return AsyncOpenAI(
        api_key=configuration.required(API_KEY),
        base_url=base.url,
        max_retries=0,
        http_client=sdk_client(configuration.connect_timeout, base.query),
    )


async def call(client: AsyncOpenAI, method: str, path: str, body: object, type_: type[T], *, model: str | None) -> T:
    """Request one JSON document from OpenAI. Raises `ProviderError`."""
    with translated(model):
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            if method == "get":
                response = await client.get(path, cast_to=httpx2.Response)
            else:
                response = await client.post(path, cast_to=httpx2.Response, body=body)
    return document(response.content, type_, provider=NAME, model=model)


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except openai.APIStatusError as exc:
        wait = retry_after(exc.response.headers)
        raise failure_of(error_of(exc.body), model, exc.status_code, wait) from exc
    except (openai.APIConnectionError, *TRANSPORT_ERRORS) as exc:
        raise unreachable(exc, provider=NAME, model=model) from exc
    except openai.OpenAIError as exc:
        raise failure(RequestRefused, exc, provider=NAME, model=model) from exc
