"""Embedders and the moderator on the wire, through the factory, as the service makes them."""

from __future__ import annotations

import math

import pytest

from app.errors import ServerError
from app.providers.base import EMBEDDING_WIDTH, Verdict
from app.providers.factory import make_embedder, make_moderator
from tests.contract.conftest import configured_at
from tests.support.aimock import AIMock

MODELS = ["text-embedding-3-small", "gemini-embedding-001", "nomic-embed-text"]


@pytest.mark.parametrize("model", MODELS)
async def test_same_text_same_vector(aimock: AIMock, model: str) -> None:
    embedder = make_embedder(model, configured_at(aimock.url))
    assert embedder is not None

    try:
        vectors = [(await embedder.embed([text], "passage"))[0] for text in ("one", "two", "one")]
    finally:
        await embedder.aclose()

    assert {len(vector) for vector in vectors} == {EMBEDDING_WIDTH}
    assert vectors[0] == vectors[2] != vectors[1]
    assert math.hypot(*vectors[0]) > 0


@pytest.mark.parametrize("model", MODELS)
async def test_outage(aimock: AIMock, model: str) -> None:
    aimock.chaos(dropRate=1)
    embedder = make_embedder(model, configured_at(aimock.url))
    assert embedder is not None

    with pytest.raises(ServerError):
        await embedder.embed(["one"], "query")
    await embedder.aclose()

    assert len(aimock.journal()) == 1


async def test_moderation(aimock: AIMock) -> None:
    moderator = make_moderator("openai", configured_at(aimock.url))
    assert moderator is not None

    assert await moderator.check("hello") == Verdict(False)
    await moderator.aclose()

    assert [entry["path"] for entry in aimock.journal()] == ["/v1/moderations"]
