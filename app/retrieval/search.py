"""Questions into passages: the query's vector by the model of the user's passages, then a call of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app import observe
from app.errors import ProviderError, ProviderUnavailable
from app.providers.base import Embedder
from app.retrieval.clean import cleaned
from app.retrieval.embedders import Embedders, embed_query
from app.store.documents import Documents, Match, Matches

MAX_QUERY_CHARACTERS = 8000
"""Of a query that are embedded: below every model's limit, and far beyond what a question needs."""


@dataclass(frozen=True)
class Question:
    """A query's vector by one model, and the similarity from which on that model's passages count as an answer."""

    model: str
    embedding: str
    threshold: float


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
    ) -> Sequence[Match]:
        """The user's passages that match, best first. Without a threshold, the model's own.

        While the user's documents have more than one model, each is searched under its own.

        Raises `ProviderUnavailable` when the query cannot be embedded, and what the database raises.
        """
        text = cleaned(query)[:MAX_QUERY_CHARACTERS]

        async def ask(question: Question) -> Matches:
            return await self._documents.search(
                token,
                text=text,
                embedding=question.embedding,
                threshold=question.threshold if threshold is None else threshold,
                count=limit,
                filter=filter or {},
                model=question.model,
                hybrid=hybrid,
            )

        current = await self._question(self._embedders.current, text)
        found = await ask(current)
        if not found.others:
            return found.passages
        known = [embedder for model in found.others if (embedder := self._embedders.of(model)) is not None]
        others = await asyncio.gather(*(self._question(embedder, text) for embedder in known))
        asked = [current, *others, current]
        # the last once more: a document that was moved to it since the first is not found under the others either
        answers = [found, *await asyncio.gather(*map(ask, others)), await ask(current)]
        passages = _merged(zip(asked, answers, strict=True), limit)
        if len(known) < len(found.others):
            observe.event("retrieval.failed", error="unknown model")
            if not passages:
                raise ProviderUnavailable("Your documents have a model that is not configured.", retry_after=60)
        return passages

    async def _question(self, embedder: Embedder, text: str) -> Question:
        try:
            embedding = await embed_query(embedder, text)
        except ProviderError as error:
            observe.event("retrieval.failed", provider=error.provider, error=type(error).__name__)
            raise ProviderUnavailable("The query cannot be embedded right now.", retry_after=5) from error
        return Question(embedder.model, embedding, self._embedders.threshold(embedder.model))


def _merged(answers: Iterable[tuple[Question, Matches]], limit: int) -> Sequence[Match]:
    """The best of what was found under several models, in turn: the first of each, then the second.

    Their similarities have nothing in common, not even how far they are above a threshold: ordered by those, one
    model's passages could push all of another's out. Only among those of the same place does the way from the model's
    threshold to 1 decide. A document that was just moved may be found twice.
    """
    found: dict[tuple[str, str], tuple[tuple[float, int, float], Match]] = {}
    for question, answer in answers:
        for place, match in enumerate(answer.passages):
            # 0 is the best there is, -1 the threshold
            nearness = (match.similarity - 1) / max(1 - question.threshold, 0.001)
            found[match.document_id, match.content] = (match.score or 0.0, -place, nearness), match
    ranked = sorted(found.values(), key=lambda entry: entry[0], reverse=True)
    return [match for _, match in ranked[:limit]]
