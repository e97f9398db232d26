"""Questions into passages: the query's vector by each model of the user's passages, then a call of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass

from app import observe
from app.errors import ProviderError, ProviderUnavailable
from app.retrieval.clean import cleaned
from app.retrieval.embedders import Embedders, embed_query
from app.store.documents import Answers, Documents, Match, Question
from app.store.replies import Charge

MAX_QUERY_CHARACTERS = 8000
"""Of a query that are embedded: below every model's limit, and far beyond what a question needs."""
PATIENCE_SECONDS = 10.0
"""For a query's vector. A local model that is loaded for it takes seconds."""
ROUNDS = 3
"""Searches at most, of documents that get yet another model each time."""


@dataclass(frozen=True)
class Searched:
    """What was found, best first. `missing` are models of the user's passages that cannot embed the query now: their
    passages were not searched."""

    passages: Sequence[Match]
    missing: tuple[str, ...] = ()


class Search:
    def __init__(self, documents: Documents, embedders: Embedders) -> None:
        self._documents = documents
        self._embedders = embedders

    async def find(
        self,
        token: str,
        query: str,
        *,
        limit: int,
        threshold: float | None = None,
        hybrid: bool = False,
        filter: Mapping[str, object] | None = None,
        patience: float = PATIENCE_SECONDS,
        admitted: asyncio.Event | None = None,
        spent: MutableSequence[Charge],
    ) -> Searched:
        """The user's passages that match. Without a threshold, each model's own. Vectors have `patience` seconds; what
        they cost is added to `spent`.

        Only models that the user's passages have are asked for a vector, and only once `admitted` is set: while the
        user's documents have more than one model, each is searched under its own.

        Raises `ProviderUnavailable` when the user has passages and none of their models can embed the query, and what
        the database raises.
        """
        text = cleaned(query)[:MAX_QUERY_CHARACTERS]
        questions: dict[str, Question | None] = {}
        models = await self._documents.models(token)
        if models and admitted is not None:
            await admitted.wait()
        found = Answers(models, ())
        for _ in range(ROUNDS):
            new = [model for model in models if model not in questions]
            if not new:
                break
            embedded = await asyncio.gather(*(self._question(model, text, threshold, patience, spent) for model in new))
            questions |= zip(new, embedded, strict=True)
            asked = [question for question in questions.values() if question is not None]
            if not asked:
                raise ProviderUnavailable(f"The query cannot be embedded now by {', '.join(new)}.", retry_after=5)
            found = await self._documents.search(
                token, text=text, questions=asked, count=limit, filter=filter or {}, hybrid=hybrid
            )
            # a document that has got another model since is found by that one
            models = found.models
        asked = [question for question in questions.values() if question is not None]
        missing = tuple(model for model in models if questions.get(model) is None)
        return Searched(_merged(zip(asked, found.answers, strict=True), limit), missing)

    async def _question(
        self, model: str, text: str, threshold: float | None, patience: float, spent: MutableSequence[Charge]
    ) -> Question | None:
        """None when the model cannot embed the text now."""
        embedder = self._embedders.of(model)
        if embedder is None:
            observe.event("retrieval.failed", model=model, error="unknown model")
            return None
        try:
            async with asyncio.timeout(patience):
                embedding = await embed_query(embedder, text, spent)
        except (ProviderError, TimeoutError) as error:
            observe.event("retrieval.failed", model=model, error=type(error).__name__)
            return None
        return Question(model, embedding, self._embedders.threshold(model) if threshold is None else threshold)


def _merged(answers: Iterable[tuple[Question, Sequence[Match]]], limit: int) -> Sequence[Match]:
    """The best of what was found under several models, in turn: the first of each, then the second.

    Their similarities have nothing in common, not even how far they are above a threshold: ordered by those, one
    model's passages could push all of another's out. Only among those of the same place does the way from the model's
    threshold to 1 decide.
    """
    found: list[tuple[tuple[float, int, float], Match]] = []
    for question, passages in answers:
        for place, match in enumerate(passages):
            # 0 is the best there is, -1 the threshold
            nearness = (match.similarity - 1) / max(1 - question.threshold, 0.001)
            found.append(((match.score or 0.0, -place, nearness), match))
    found.sort(key=lambda entry: entry[0], reverse=True)
    return [match for _, match in found[:limit]]
