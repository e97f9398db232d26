"""Passages given to embedders that take less at once than we would send, or take longer than an answer may."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import httpx2
import msgspec
import pytest
from openai import AsyncOpenAI
from pytest_httpx2 import HTTPXMock as HTTPX2Mock

from app.errors import AnswerTimeout, ContextTooLong, ProviderError, RequestRefused, ServerError
from app.providers.base import EmbeddingKind
from app.providers.openai.embeddings import OpenAIEmbedder
from app.retrieval.embedders import ANSWERS_BEFORE_GROWING, MAX_BATCH, PassageEmbedder

TEXTS = [f"passage {number}" for number in range(MAX_BATCH)]


class Server:
    """An embedder that takes at most so many texts at once, each of so many characters; its vectors are their places in
    the alphabet."""

    model = "m"

    def __init__(self, *, texts: int, characters: int, refusal: type[ProviderError]) -> None:
        self.texts = texts
        self.characters = characters
        self.refusal = refusal
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        self.batches.append(len(texts))
        if len(texts) > self.texts:
            raise self.refusal("too many", provider="openai")
        if any(len(text) > self.characters for text in texts):
            raise ContextTooLong("too long", provider="openai")
        return [[float(ord(text[0]) - 96), float(len(text))] for text in texts]

    async def aclose(self) -> None: ...


async def test_a_refused_batch_is_halved_and_its_size_remembered() -> None:
    server = Server(texts=10, characters=1000, refusal=RequestRefused)
    embedder = PassageEmbedder(server)
    assert len(await embedder.embed(TEXTS)) == len(TEXTS)
    assert server.batches == [64, 32, 16, *[8] * 8]
    for _ in range(ANSWERS_BEFORE_GROWING):
        await embedder.embed(TEXTS)
    assert max(server.batches[3:]) == 8


async def test_a_batch_that_takes_too_long_is_halved_and_larger_ones_are_tried_again() -> None:
    server = Server(texts=20, characters=1000, refusal=AnswerTimeout)
    embedder = PassageEmbedder(server)
    assert len(await embedder.embed(TEXTS)) == len(TEXTS)
    assert server.batches == [64, 32, 16, 16, 16, 16]
    server.texts = 64
    for _ in range(ANSWERS_BEFORE_GROWING):
        await embedder.embed(TEXTS)
    assert server.batches[-1] == 64


async def test_a_server_that_answers_nothing_in_time_is_given_up() -> None:
    server = Server(texts=0, characters=1000, refusal=AnswerTimeout)
    with pytest.raises(AnswerTimeout):
        await PassageEmbedder(server).embed(TEXTS)
    assert server.batches == [64, 32, 16, 8, 4, 2, 1]


async def test_a_passage_that_is_too_long_is_embedded_in_parts() -> None:
    server = Server(texts=1, characters=300, refusal=RequestRefused)
    [short, long] = await PassageEmbedder(server).embed(["a" * 10, "b" * 399 + " " + "d" * 400])
    assert msgspec.json.decode(short) == [1.0, 10.0]
    [letter, _] = vector = msgspec.json.decode(long)
    assert math.hypot(*vector) == pytest.approx(1)
    # between that of b, 2, and that of d, 4; every part is 200 characters
    assert letter / math.hypot(*vector) == pytest.approx(3 / math.hypot(3, 200), rel=0.01)


async def test_a_model_that_takes_no_text_says_so() -> None:
    with pytest.raises(ContextTooLong):
        await PassageEmbedder(Server(texts=1, characters=0, refusal=RequestRefused)).embed(["a" * 1000])


async def test_other_failures_are_not_asked_for_again() -> None:
    server = Server(texts=0, characters=1000, refusal=ServerError)
    with pytest.raises(ServerError):
        await PassageEmbedder(server).embed(TEXTS)
    assert server.batches == [64]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "input (900 tokens) is too large to process. increase the physical batch size (current batch size: 512)"),
        (501, "the input is too long for this model"),
        (400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens"),
        (413, "Input validation error: `inputs` must have less than 512 tokens; the text is too long"),
    ],
)
async def test_servers_say_in_their_own_ways_that_a_passage_is_too_long(
    httpx2_mock: HTTPX2Mock, status: int, words: str
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        [text] = json.loads(request.content)["input"]
        if len(text) > 500:
            return httpx2.Response(status, json={"error": {"message": words, "type": "server_error", "code": status}})
        return httpx2.Response(200, json={"data": [{"index": 0, "embedding": [1.0] * 1536}]})

    httpx2_mock.add_callback(answer, is_reusable=True)
    client = AsyncOpenAI(api_key="k", max_retries=0, http_client=httpx2.AsyncClient())
    embedder = OpenAIEmbedder(client, "text-embedding-3-small")
    [vector] = await PassageEmbedder(embedder).embed(["word " * 180])
    await embedder.aclose()
    assert msgspec.json.decode(vector) == pytest.approx([1 / math.sqrt(1536)] * 1536)
    assert [len(json.loads(request.content)["input"][0]) for request in httpx2_mock.get_requests()] == [900, 450, 450]
