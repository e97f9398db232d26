"""A search while an owner's documents have two models: in whichever order they are moved, each is found."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import ProviderUnavailable
from app.providers.demo.embeddings import LocalEmbedder
from app.retrieval.search import Search
from app.store.documents import Match, Matches


class Store:
    """Passages and their models. `moves` holds what is moved to which model right before each question."""

    def __init__(self, models: dict[str, str], moves: Sequence[dict[str, str]] = ()) -> None:
        self.models = models
        self.moves = iter(moves)
        self.asked: list[str] = []

    async def search(self, token: str, *, model: str, count: int, **_: Any) -> Matches:
        self.models |= next(self.moves, {})
        self.asked.append(model)
        mine = [name for name in sorted(self.models) if self.models[name] == model]
        # no two models' similarities are alike
        found = tuple(passage(name, 0.9 if model == "old" else 0.1) for name in mine[:count])
        return Matches(found, tuple(sorted(set(self.models.values()) - {model})))


def passage(name: str, similarity: float) -> Match:
    return Match(id=name, document_id=name, title=name, content=name, metadata={}, similarity=similarity)


def search(store: Store, *models: str) -> Search:
    """A search by the first of these models, with the others configured."""

    class Named(LocalEmbedder):
        def __init__(self, model: str) -> None:
            super().__init__()
            self.model = model

    known = {model: Named(model) for model in models}
    embedders: Any = SimpleNamespace(current=known[models[0]], of=known.get, threshold=lambda _: 0.5)
    documents: Any = store
    return Search(documents, embedders)


async def names(searching: Search, limit: int = 5) -> list[str]:
    return sorted(match.id for match in await searching.find("token", "question", limit=limit))


@pytest.mark.parametrize("current", ["old", "new"])
@pytest.mark.parametrize("before", range(1, 4))
async def test_a_document_that_is_moved_meanwhile_is_found_once(current: str, before: int) -> None:
    moves = [*({} for _ in range(before)), {"b": "new"}]
    store = Store({"a": "new", "b": "old", "c": "old"}, moves)
    other = {"old": "new", "new": "old"}[current]
    assert await names(search(store, current, other)) == ["a", "b", "c"]


async def test_one_model_is_asked_once() -> None:
    store = Store({"a": "new", "b": "new"})
    assert await names(search(store, "new", "old")) == ["a", "b"]
    assert store.asked == ["new"]


async def test_no_more_than_wanted() -> None:
    assert len(await names(search(Store({"a": "new", "b": "old", "c": "old"}), "new", "old"), limit=2)) == 2


@pytest.mark.parametrize("current", ["old", "new"])
async def test_neither_model_pushes_the_other_out(current: str) -> None:
    store = Store({**dict.fromkeys("abcdef", "old"), "y": "new", "z": "new"})
    other = {"old": "new", "new": "old"}[current]
    assert await names(search(store, current, other), limit=4) == ["a", "b", "y", "z"]


async def test_a_model_that_is_not_configured() -> None:
    """What can be searched is; nothing at all to search is an error, not an empty answer."""
    assert await names(search(Store({"a": "new", "b": "gone"}), "new")) == ["a"]
    with pytest.raises(ProviderUnavailable, match="a model that is not configured"):
        await search(Store({"b": "gone"}), "new").find("token", "question", limit=5)
