"""The moderator: what it asks, and the verdict it makes of the answer."""

from __future__ import annotations

import json

import httpx2
import pytest
from openai import AsyncOpenAI
from pytest_httpx2 import HTTPXMock as HTTPX2Mock

from app.errors import BrokenStream, ServerError
from app.providers.base import Verdict
from app.providers.openai.moderation import OpenAIModerator


async def check(text: str) -> Verdict:
    moderator = OpenAIModerator(AsyncOpenAI(api_key="k", max_retries=0, http_client=httpx2.AsyncClient()))
    try:
        return await moderator.check(text)
    finally:
        await moderator.aclose()


async def test_flagged(httpx2_mock: HTTPX2Mock) -> None:
    categories = {"violence": True, "hate": False, "harassment": True, "illicit": None}
    httpx2_mock.add_response(json={"id": "m", "results": [{"flagged": True, "categories": categories}]})

    assert await check("grr") == Verdict(True, ("harassment", "violence"))
    (request,) = httpx2_mock.get_requests()
    assert request.url.path == "/v1/moderations"
    assert json.loads(request.content) == {"model": "omni-moderation-latest", "input": "grr"}


async def test_not_flagged(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_response(json={"results": [{"flagged": False, "categories": {"violence": False}}]})
    assert await check("hello") == Verdict(False)


async def test_flagged_in_any_part(httpx2_mock: HTTPX2Mock) -> None:
    results = [{"flagged": False, "categories": {}}, {"flagged": True, "categories": {"hate": True}}]
    httpx2_mock.add_response(json={"results": results})
    assert await check("grr") == Verdict(True, ("hate",))


async def test_failures_are_ours(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_response(status_code=500)
    with pytest.raises(ServerError):
        await check("hello")


async def test_answer_of_another_shape(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_response(json={"results": "none"})
    with pytest.raises(BrokenStream):
        await check("hello")
