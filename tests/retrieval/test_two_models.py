"""Which models a search asks: those of the user's passages, whatever happens to them meanwhile, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import ProviderError, ProviderUnavailable, ServerError
from app.providers.demo.embeddings import LocalEmbedder
from app.retrieval.search import Search, Searched
from app.store.documents import Answers, Match, Question


class Store:
    """Passages and their models. `moves` holds what is moved to which model right before each search."""

    def __init__(self, models: dict[str, str], moves: Sequence[dict[str, str]] = ()) -> None:
        self.passages = models
        self.moves = iter(moves)
        self.searches: list[list[str]] = []

    async def models(self, token: str) -> tuple[str, ...]:
        return tuple(sorted(set(self.passages.values())))

    async def search(self, token: str, *, questions: Sequence[Question], count: int, **_: Any) -> Answers:
        self.passages |= next(self.moves, {})
        self.searches.append([question.model for question in questions])
        # no two models' similarities are alike
        answers = [
            tuple(passage(name, 0.9 if model == "old" else 0.1) for name in self.of(model))[:count]
            for model in self.searches[-1]
        ]
        return Answers(await self.models(token), tuple(answers))

    def of(self, model: str) -> Iterator[str]:
        return (name for name in sorted(self.passages) if self.passages[name] == model)


@dataclass
class Model:
    """An embedder that is asked for vectors."""

    model: str
    failure: ProviderError | None = None
    hangs: bool = False
    asked: list[str] = field(default_factory=list)

    async def embed(self, texts: Sequence[str], kind: str) -> list[list[float]]:
        self.asked += texts
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return await LocalEmbedder().embed(texts, "query")


def passage(name: str, similarity: float) -> Match:
    return Match(id=name, document_id=name, title=name, content=name, metadata={}, similarity=similarity)


def search(store: Store, *models: str | Model) -> Search:
    """A search with these models configured."""
    known = {model.model: model for model in (Model(one) if isinstance(one, str) else one for one in models)}
    embedders: Any = SimpleNamespace(of=known.get, threshold=lambda _: 0.5)
    documents: Any = store
    return Search(documents, embedders)


async def find(searching: Search, limit: int = 5, patience: float = 60) -> Searched:
    async with asyncio.timeout(30):
        return await searching.find("token", "question", limit=limit, patience=patience, spent=[])


async def names(searching: Search, limit: int = 5) -> list[str]:
    return sorted(match.id for match in (await find(searching, limit)).passages)


async def test_a_document_that_gets_a_new_model_meanwhile_is_found_once() -> None:
    store = Store({"a": "old", "b": "old"}, [{"b": "new"}])
    assert await names(search(store, "old", "new")) == ["a", "b"]
    # both at once, in one view of the data
    assert store.searches == [["old"], ["old", "new"]]


async def test_one_that_gets_yet_another_each_time_ends_the_search() -> None:
    store = Store({"a": "1"}, [{"a": str(number)} for number in range(2, 10)])
    found = await find(search(store, *"123456789"))
    assert found.missing == ("4",)
    assert len(store.searches) == 3


async def test_one_model_is_asked_once() -> None:
    store, other = Store({"a": "new", "b": "new"}), Model("old")
    assert await names(search(store, "new", other)) == ["a", "b"]
    assert store.searches == [["new"]]
    assert other.asked == []


async def test_without_passages_nobody_is_asked() -> None:
    store, model = Store({}), Model("new")
    assert await find(search(store, model)) == Searched([])
    assert (store.searches, model.asked) == ([], [])


async def test_no_more_than_wanted() -> None:
    assert len(await names(search(Store({"a": "new", "b": "old", "c": "old"}), "new", "old"), limit=2)) == 2


async def test_neither_model_pushes_the_other_out() -> None:
    store = Store({**dict.fromkeys("abcdef", "old"), "y": "new", "z": "new"})
    assert await names(search(store, "new", "old"), limit=4) == ["a", "b", "y", "z"]


@pytest.mark.parametrize(
    "dead",
    [
        None,
        Model("dead", failure=ServerError("down", provider="openai")),
        Model("dead", hangs=True),
    ],
)
async def test_a_model_that_cannot_be_asked(dead: Model | None) -> None:
    """What can be searched is, and what not is said; nothing at all to search is an error, not an empty answer."""
    configured = [dead] if dead else []
    found = await find(search(Store({"a": "new", "b": "dead"}), "new", *configured), patience=0.1)
    assert [match.id for match in found.passages] == ["a"]
    assert found.missing == ("dead",)
    with pytest.raises(ProviderUnavailable, match="cannot be embedded now by dead"):
        await find(search(Store({"b": "dead"}), "new", *configured), patience=0.1)


async def test_a_model_that_nobody_needs_may_be_dead() -> None:
    dead = Model("dead", failure=ServerError("down", provider="openai"))
    assert await find(search(Store({"a": "new"}), "new", dead)) == Searched([passage("a", 0.1)])
    assert dead.asked == []


async def test_nobody_is_asked_before_the_user_is_let_in() -> None:
    model, admitted = Model("new"), asyncio.Event()
    searching = search(Store({"a": "new"}), model)
    finding = asyncio.create_task(searching.find("token", "question", limit=1, admitted=admitted, spent=[]))
    for _ in range(10):
        await asyncio.sleep(0)
    assert model.asked == []
    admitted.set()
    async with asyncio.timeout(30):
        assert len((await finding).passages) == 1
    assert model.asked == ["question"]
