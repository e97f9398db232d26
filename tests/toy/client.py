"""The toy over HTTP: how it is asked, and its errors read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx2
import msgspec

from app.providers.answers import document
from app.providers.base_url import BaseUrl
from app.providers.description import Configuration
from app.providers.failures import failure, kind_of_status, unreachable
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, TRANSPORT_ERRORS, sdk_client
from tests.toy.description import API_KEY, BASE_URL, NAME

T = TypeVar("T")


class ToyClient:
    """What an SDK would be."""

    def __init__(self, configuration: Configuration) -> None:
        base = BaseUrl.parse(configuration.required(BASE_URL))
        self._url = base.url
        self._key = configuration.required(API_KEY)
        self._http = sdk_client(configuration.connect_timeout, base.query)

    async def open(self, path: str, body: object, *, model: str | None) -> httpx2.Response:
        """The response, whose body is still to come."""
        content = msgspec.json.encode(body)
        request = self._http.build_request("POST", self._url + path, content=content, headers={"x-toy-key": self._key})
        response = await self._http.send(request, stream=True)
        if response.status_code != 200:
            await response.aclose()
            raise failure(
                kind_of_status(response.status_code), "", provider=NAME, model=model, status=response.status_code
            )
        return response

    async def call(self, path: str, body: object, type_: type[T], *, model: str | None = None) -> T:
        """One JSON document. Raises `ProviderError`."""
        with translated(model):
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                response = await self.open(path, body, model=model)
                content = await response.aread()
        return document(content, type_, provider=NAME, model=model)

    async def aclose(self) -> None:
        await self._http.aclose()


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the errors of the connection as ours."""
    try:
        yield
    except TRANSPORT_ERRORS as exc:
        raise unreachable(exc, provider=NAME, model=model) from exc
