"""Embedders: what they ask for, the order and width of what they give, and what they refuse to store."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx2
import ollama
import pytest
from google import genai
from google.genai.types import HttpOptions
from openai import AsyncOpenAI
from pytest_httpx import HTTPXMock
from pytest_httpx2 import HTTPXMock as HTTPX2Mock

from app.errors import BrokenStream, RequestRefused, Throttled
from app.providers.base import EMBEDDING_WIDTH
from app.providers.gemini.embeddings import GeminiEmbedder
from app.providers.ollama.embeddings import OllamaEmbedder
from app.providers.openai.embeddings import BATCH, OpenAIEmbedder
from app.providers.vectors import checked


def openai_embedder(model: str = "text-embedding-3-small") -> OpenAIEmbedder:
    return OpenAIEmbedder(AsyncOpenAI(api_key="k", max_retries=0, http_client=httpx2.AsyncClient()), model)


def gemini_embedder() -> GeminiEmbedder:
    http_client = httpx2.AsyncClient()
    client = genai.Client(vertexai=False, api_key="k", http_options=HttpOptions(httpx_async_client=http_client))
    return GeminiEmbedder(client, http_client, "gemini-embedding-001")


def vector(number: float, width: int = EMBEDDING_WIDTH) -> list[float]:
    return [number] * width


def openai_answer(request: httpx2.Request) -> httpx2.Response:
    texts = json.loads(request.content)["input"]
    # in any order, as the API allows
    items = [{"index": index, "embedding": vector(float(text))} for index, text in enumerate(texts)]
    return httpx2.Response(200, json={"data": items[::-1]})


async def test_openai_order_and_batches(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_callback(openai_answer, is_reusable=True)
    embedder = openai_embedder()
    texts = [str(number) for number in range(BATCH + 5)]

    vectors = await embedder.embed(texts, "passage")
    await embedder.aclose()

    assert [row[0] for row in vectors] == [float(text) for text in texts]
    assert {len(row) for row in vectors} == {EMBEDDING_WIDTH}
    bodies = [json.loads(request.content) for request in httpx2_mock.get_requests()]
    assert [len(body["input"]) for body in bodies] == [BATCH, 5]
    assert bodies[0] == {
        "model": "text-embedding-3-small",
        "input": texts[:BATCH],
        "encoding_format": "float",
        "dimensions": EMBEDDING_WIDTH,
    }


async def test_openai_second_generation_is_not_asked_for_a_width(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_callback(openai_answer)
    embedder = openai_embedder("text-embedding-ada-002")

    await embedder.embed(["1"], "query")
    await embedder.aclose()

    assert "dimensions" not in json.loads(httpx2_mock.get_requests()[0].content)


async def test_no_texts_no_request() -> None:
    embedder = openai_embedder()
    assert await embedder.embed([], "query") == []
    await embedder.aclose()


async def test_openai_errors_are_ours(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_response(status_code=429, headers={"retry-after": "3"}, json={"error": {"message": "slow"}})
    embedder = openai_embedder()

    with pytest.raises(Throttled) as raised:
        await embedder.embed(["1"], "query")
    await embedder.aclose()

    assert (raised.value.model, raised.value.retry_after) == ("text-embedding-3-small", 3)


@pytest.mark.parametrize("body", [b"no json", b"{}", b'{"data": [{"embedding": "AAAA"}]}'])
async def test_openai_answer_of_another_shape(httpx2_mock: HTTPX2Mock, body: bytes) -> None:
    httpx2_mock.add_response(content=body)
    embedder = openai_embedder()

    with pytest.raises(BrokenStream):
        await embedder.embed(["1"], "query")
    await embedder.aclose()


async def test_gemini_query(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_response(json={"embedding": {"values": vector(3.0)}})
    embedder = gemini_embedder()

    ((first, *_),) = vectors = await embedder.embed(["where?"], "query")
    await embedder.aclose()

    # of length 1, whatever came
    assert math.isclose(math.hypot(*vectors[0]), 1.0)
    assert first == pytest.approx(1 / math.sqrt(EMBEDDING_WIDTH))
    (request,) = httpx2_mock.get_requests()
    assert request.url.path.endswith("/models/gemini-embedding-001:embedContent")
    assert json.loads(request.content) == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "where?"}]},
        "taskType": "RETRIEVAL_QUERY",
        "outputDimensionality": EMBEDDING_WIDTH,
    }


async def test_gemini_passages(httpx2_mock: HTTPX2Mock) -> None:
    httpx2_mock.add_response(json={"embeddings": [{"values": vector(1.0)}, {"values": vector(-1.0)}]})
    embedder = gemini_embedder()

    vectors = await embedder.embed(["here", "there"], "passage")
    await embedder.aclose()

    assert [row[0] > 0 for row in vectors] == [True, False]
    (request,) = httpx2_mock.get_requests()
    assert request.url.path.endswith("/models/gemini-embedding-001:batchEmbedContents")
    requests: list[dict[str, Any]] = json.loads(request.content)["requests"]
    assert [item["content"]["parts"][0]["text"] for item in requests] == ["here", "there"]
    assert {item["taskType"] for item in requests} == {"RETRIEVAL_DOCUMENT"}


async def test_ollama_is_padded(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"embeddings": [vector(1.0, 768), vector(2.0, 768)]})
    embedder = OllamaEmbedder(ollama.AsyncClient("http://ollama:11434"), "nomic-embed-text")

    vectors = await embedder.embed(["1", "2"], "passage")
    await embedder.aclose()

    assert vectors == [vector(1.0, 768) + vector(0.0, 768), vector(2.0, 768) + vector(0.0, 768)]
    (request,) = httpx_mock.get_requests()
    assert str(request.url) == "http://ollama:11434/api/embed"
    assert json.loads(request.content) == {"model": "nomic-embed-text", "input": ["1", "2"]}


@pytest.mark.parametrize(
    ("vectors", "count"),
    [([[1.0]], 2), ([[1.0], [1.0]], 1), ([[1.0], [1.0, 2.0]], 2), ([[], []], 2), ([], 1)],
)
def test_vectors_that_are_not_all_there(vectors: list[list[float]], count: int) -> None:
    with pytest.raises(BrokenStream):
        checked(vectors, count, provider="ollama", model="m")


def test_vectors_too_wide_to_store() -> None:
    with pytest.raises(RequestRefused):
        checked([vector(1.0, EMBEDDING_WIDTH + 1)], 1, provider="ollama", model="m")
