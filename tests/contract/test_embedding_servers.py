"""Embedding servers as they are: batches that are too large, passages that are too long, vectors in other shapes."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.errors import BrokenStream, ContextTooLong, RequestRefused, ServerError, VectorsTooWide
from app.providers.base import EMBEDDING_WIDTH, Embedder
from app.providers.factory import make_embedder
from app.retrieval.embedders import LEAST_CHARACTERS, PassageEmbedder, embed_query
from tests.contract.conftest import configured_at
from tests.support.raw_upstream import Exchange, Upstream, raw_upstream

MODELS = {"openai": "text-embedding-3-small", "gemini": "gemini-embedding-001", "ollama": "nomic-embed-text"}
TEXTS = [f"passage {number}" for number in range(40)]


@asynccontextmanager
async def embedder(
    wire: str, answer: Callable[[Exchange], Awaitable[None]]
) -> AsyncIterator[tuple[Embedder, Upstream]]:
    async with raw_upstream(answer) as upstream:
        made = make_embedder(MODELS[wire], configured_at(upstream.url))
        assert made is not None
        try:
            yield made, upstream
        finally:
            await made.aclose()


def texts_of(body: Any) -> list[str]:
    """The texts that a request asks for, on any wire."""
    if "input" in body:
        return list(body["input"])
    requests = body.get("requests", [body])
    return [request["content"]["parts"][0]["text"] for request in requests]


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0]


def answered(wire: str, texts: list[str], path: str) -> bytes:
    vectors = [vector(text) for text in texts]
    match wire:
        case "openai":
            body: object = {"data": [{"index": place, "embedding": row} for place, row in enumerate(vectors)]}
        case "gemini" if path.endswith(":embedContent"):
            body = {"embedding": {"values": vectors[0]}}
        case "gemini":
            body = {"embeddings": [{"values": row} for row in vectors]}
        case _:
            body = {"embeddings": vectors}
    return json.dumps(body).encode()


def error(message: str, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, **fields}}


# the words of memodb-io/memobase#142, Zoo-Code-Org/Zoo-Code#335, apecloud/ApeRAG#716, huggingface/
# text-embeddings-inference#50 and others
TOO_MANY: list[tuple[str, int, object]] = [
    ("openai", 400, error("<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should "
                          "not be larger than 10.: input.contents", type="InvalidParameter")),
    ("openai", 422, {"message": "batch size 40 > maximum allowed batch size 32", "code": 422, "type": "Validation"}),
    ("openai", 422, {"error": "batch size 40 > maximum allowed batch size 32", "error_type": "Validation"}),
    ("openai", 413, {"code": 20042, "message": "input batch size 40 > maximum allowed batch size 32", "data": None}),
    ("openai", 413, "Failed to buffer the request body: length limit exceeded"),
    ("openai", 400, error("Invalid 'input': array too long. Expected an array with maximum length 16", param="input")),
    ("openai", 400, error("Too many inputs. The max number of inputs is 1. We hope to increase the number of inputs "
                          "per request soon. Please contact us through an Azure support request")),
    ("openai", 500, error("litellm.InternalServerError: batch size exceeds the limit of 16", type="server_error")),
    ("openai", 500, {"error": "Too many inputs"}),
    ("openai", 504, "<html><head><title>504 Gateway Time-out</title></head></html>"),
    ("openai", 524, "error code: 524"),
    ("openai", 408, "stream timeout"),
    ("openai", 429, error("Request too large for text-embedding-3-small in organization org-x on tokens per min (TPM): "
                          "Limit 40000, Requested 64000.", type="tokens", code="rate_limit_exceeded")),
    ("gemini", 400, error("* BatchEmbedContentsRequest.requests: at most 16 requests can be in one batch", code=400,
                          status="INVALID_ARGUMENT")),
    ("gemini", 504, error("Deadline expired before operation could complete.", code=504, status="DEADLINE_EXCEEDED")),
    ("ollama", 400, {"error": "batch size exceeds maximum"}),
    ("ollama", 413, "<html>413 Request Entity Too Large</html>"),
    ("ollama", 504, ""),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "status", "body"), TOO_MANY)
async def test_a_batch_that_is_too_large_is_halved(wire: str, status: int, body: object) -> None:
    async def answer(exchange: Exchange) -> None:
        texts = texts_of(exchange.json)
        if len(texts) > 10:
            exchange.reply(status, body.encode() if isinstance(body, str) else json.dumps(body).encode())
        else:
            exchange.reply(200, answered(wire, texts, exchange.path))

    async with embedder(wire, answer) as (made, upstream):
        vectors = await PassageEmbedder(made).embed(TEXTS)
        assert len(vectors) == len(TEXTS)
        assert len(texts_of(upstream.exchanges[-1].json)) <= 10


TOO_LONG: list[tuple[str, int, object]] = [
    ("openai", 400, error("This model's maximum context length is 8192 tokens, however you requested 9000 tokens")),
    ("openai", 413, {"error": "Input validation error: `inputs` must have less than 512 tokens. Given: 600"}),
    ("openai", 500, error("input is too large to process. increase the physical batch size", type="server_error")),
    (
        "openai",
        501,
        error("input (900 tokens) is too large to process. increase the physical batch size (current: 512)"),
    ),
    ("openai", 400, error("Input length (600) exceeds model's maximum context length (512).")),
    (
        "gemini",
        400,
        error("The input token count (9000) exceeds the maximum number of tokens allowed (2048).", code=400),
    ),
    ("ollama", 400, {"error": "the input length exceeds the context length"}),
    ("ollama", 500, {"error": "input is too large to process. increase the physical batch size"}),
    # of a few texts, which are none too long: ollama/ollama#9639
    ("ollama", 500, {"error": "failed to encode response: json: unsupported value: NaN"}),
]


@pytest.mark.parametrize(("wire", "status", "body"), TOO_LONG)
async def test_a_passage_that_is_too_long_is_split_and_the_others_keep_their_batch(
    wire: str, status: int, body: object
) -> None:
    async def answer(exchange: Exchange) -> None:
        texts = texts_of(exchange.json)
        if any(len(text) > 500 for text in texts):
            exchange.reply(status, json.dumps(body).encode())
        else:
            exchange.reply(200, answered(wire, texts, exchange.path))

    async with embedder(wire, answer) as (made, upstream):
        passages = PassageEmbedder(made)
        vectors = await passages.embed([*TEXTS, "word " * 160, *TEXTS])
        assert len(vectors) == 2 * len(TEXTS) + 1
        # the one was the reason; how many are sent at once is what it was
        made_before = len(upstream.exchanges)
        await passages.embed(TEXTS[:30])
        assert [len(texts_of(exchange.json)) for exchange in upstream.exchanges[made_before:]] == [30]


@pytest.mark.parametrize(("wire", "status", "body"), TOO_LONG)
async def test_a_question_that_is_too_long_is_searched_by_its_beginning(wire: str, status: int, body: object) -> None:
    async def answer(exchange: Exchange) -> None:
        texts = texts_of(exchange.json)
        if any(len(text) > 500 for text in texts):
            exchange.reply(status, json.dumps(body).encode())
        else:
            exchange.reply(200, answered(wire, texts, exchange.path))

    async with embedder(wire, answer) as (made, upstream):
        assert await embed_query(made, "word " * 300, []) is not None
        assert texts_of(upstream.exchanges[-1].json) == [("word " * 300)[:375]]


async def test_a_model_that_finds_every_question_too_long_says_so() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(400, b'{"error": {"message": "maximum context length"}}')

    async with embedder("openai", answer) as (made, upstream):
        with pytest.raises(ContextTooLong):
            await embed_query(made, "x" * 8000, [])
        assert len(texts_of(upstream.exchanges[-1].json)[0]) < 2 * LEAST_CHARACTERS


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "CUDA error: an illegal memory access was encountered"),
        (500, "HTTPConnectionPool(host='x', port=80): Max retries exceeded with url: /embed"),
        (503, "batch size too large while the model is being loaded"),
    ],
)
async def test_trouble_of_the_servers_own_is_not_asked_for_again(status: int, words: str) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(status, json.dumps(error(words)).encode())

    async with embedder("openai", answer) as (made, upstream):
        with pytest.raises(ServerError):
            await PassageEmbedder(made).embed(TEXTS)
        assert len(upstream.exchanges) == 1


async def test_a_text_that_is_refused_for_what_it_is_stays_refused() -> None:
    async def answer(exchange: Exchange) -> None:
        texts = texts_of(exchange.json)
        if "passage 7" in texts:
            exchange.reply(400, b'{"error": {"message": "the input is not allowed"}}')
        else:
            exchange.reply(200, answered("openai", texts, exchange.path))

    async with embedder("openai", answer) as (made, _):
        with pytest.raises(RequestRefused):
            await PassageEmbedder(made).embed(TEXTS)


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────────

# vectorize-io/hindsight#925, cocoindex-io/cocoindex-code#148
REFUSED: list[tuple[str, str, int, object]] = [
    ("encoding_format", "float", 400, {"detail": "Value 'float' supplied for argument 'encoding_format' is not valid "
                                                 "-- accepted values are 'base64'"}),
    ("encoding_format", "", 400, error("litellm.UnsupportedParamsError: gemini does not support parameters: "
                                       "{'encoding_format': 'float'}")),
    ("encoding_format", "", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "encoding_format"],
                                              "msg": "Extra inputs are not permitted"}]}),
    ("dimensions", "", 400, error("litellm.UnsupportedParamsError: x does not support parameters: ['dimensions']")),
    ("dimensions", "", 400, {"object": "error", "message": "Model \"m\" does not support matryoshka representation, "
                                                           "changing output dimensions will lead to poor results."}),
    ("dimensions", "", 400, error("Unrecognized request argument supplied: dimensions")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "status", "body"), REFUSED)
async def test_a_parameter_that_is_refused_by_name_is_left_out(
    name: str, value: str, status: int, body: object
) -> None:
    async def answer(exchange: Exchange) -> None:
        sent = exchange.json
        if name in sent and value in ("", sent[name]):
            exchange.reply(status, json.dumps(body).encode())
        else:
            exchange.reply(200, answered("openai", sent["input"], exchange.path))

    async with embedder("openai", answer) as (made, upstream):
        for _ in range(2):
            assert len(await made.embed(["one"], "passage")) == 1
        assert [name in exchange.json and value in ("", exchange.json[name]) for exchange in upstream.exchanges] == [
            True,
            False,
            False,
        ]


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def encoded(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


FIRST, SECOND = [0.5, -1.0], [0.25, 2.0]
SHAPES: list[tuple[str, object]] = [
    ("openai", {"data": [{"embedding": encoded(FIRST)}, {"embedding": encoded(SECOND)}]}),
    ("openai", {"data": [{"index": 1, "embedding": SECOND}, {"index": 0, "embedding": FIRST}]}),
    ("openai", {"data": [{"index": None, "embedding": FIRST}, {"index": None, "embedding": SECOND}]}),
    ("openai", {"data": [{"index": 0, "embedding": FIRST}, {"index": 0, "embedding": SECOND}]}),
    ("openai", {"data": [{"embedding": [FIRST]}, {"embedding": [SECOND]}], "usage": None}),
    ("ollama", {"embeddings": [FIRST, SECOND], "model": None}),
]


@pytest.mark.parametrize(("wire", "body"), SHAPES)
async def test_vectors_in_another_shape(wire: str, body: object) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(body).encode())

    async with embedder(wire, answer) as (made, _):
        vectors = await made.embed(["first", "second"], "passage")
    assert [row[:2] for row in vectors] == [FIRST, SECOND]


async def test_geminis_list_of_one() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, b'{"embeddings": [{"values": [3.0, 4.0]}]}')

    async with embedder("gemini", answer) as (made, _):
        [row] = await made.embed(["first"], "query")
    assert row[:2] == [0.6, 0.8]


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"embedding": [0.5, None]}]},
        {"data": [{"embedding": [[0.5], [0.5]]}]},
        {"data": [{"embedding": "not base64!"}]},
        {"data": None},
        {"data": []},
        {"data": [{"embedding": []}]},
    ],
)
async def test_vectors_that_are_none(body: object) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(body).encode())

    async with embedder("openai", answer) as (made, _):
        with pytest.raises(BrokenStream):
            await made.embed(["first"], "passage")


async def test_vectors_that_are_too_wide_are_no_fault_of_the_passages() -> None:
    async def answer(exchange: Exchange) -> None:
        rows = [{"index": place, "embedding": [1.0] * (EMBEDDING_WIDTH + 1)} for place in range(len(TEXTS))]
        exchange.reply(200, json.dumps({"data": rows}).encode())

    async with embedder("openai", answer) as (made, upstream):
        with pytest.raises(VectorsTooWide):
            await PassageEmbedder(made).embed(TEXTS)
        assert len(upstream.exchanges) == 1
