"""What a turn draws on from its asker's documents: found while the turn is begun, and never a reason for it to fail."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import msgspec

from app import observe
from app.chat.asked import Asker
from app.errors import AppError, ProviderUnavailable
from app.messages import Passage, Source, Sources
from app.retrieval.search import MAX_QUERY_CHARACTERS, Search

SECONDS = 5.0
"""After which a turn goes on without."""
PASSAGES = 6
EXCERPT_CHARACTERS = 240
KNOWN_USERS = 10_000


class Found(msgspec.Struct, frozen=True):
    """What was found, for the prompt and for the readers."""

    passages: tuple[Passage, ...]
    sources: Sources


class Retriever:
    """Searches for turns. `enabled` is for messages that do not say themselves; False there is False for all."""

    def __init__(self, search: Search, *, enabled: bool) -> None:
        self._search = search
        self._enabled = enabled
        self._searchable: OrderedDict[str, None] = OrderedDict()

    def start_early(self, asker: Asker, question: str | None, use_rag: bool | None) -> asyncio.Task[Found] | None:
        """Begin to search beside `begin_turn`, for a user who is known to have documents."""
        if question is None or not self._wanted(use_rag) or asker.id not in self._searchable:
            return None
        return asyncio.create_task(self._find(asker, question))

    def settle(
        self,
        asker: Asker,
        question: str,
        use_rag: bool | None,
        early: asyncio.Task[Found] | None,
        *,
        searchable: bool,
    ) -> asyncio.Task[Found] | None:
        """The search of a turn that was begun: the early one, a new one, or none, by what the database says."""
        if not searchable or not self._wanted(use_rag):
            self._searchable.pop(asker.id, None)
            if early is not None:
                early.cancel()
            return None
        self._searchable[asker.id] = None
        self._searchable.move_to_end(asker.id)
        if len(self._searchable) > KNOWN_USERS:
            self._searchable.popitem(last=False)
        return early or asyncio.create_task(self._find(asker, question))

    def _wanted(self, use_rag: bool | None) -> bool:
        return self._enabled and use_rag is not False

    async def _find(self, asker: Asker, question: str) -> Found:
        try:
            async with asyncio.timeout(SECONDS):
                matches = await self._search.find(asker.token, question[:MAX_QUERY_CHARACTERS], limit=PASSAGES)
        except (AppError, TimeoutError) as error:
            code = error.code if isinstance(error, AppError) else ProviderUnavailable.code
            observe.event("retrieval.failed", error=code)
            return Found((), Sources((), code))
        except Exception as error:
            observe.unforeseen("retrieval.failed", error)
            return Found((), Sources((), AppError.code))
        passages = tuple(
            Passage(match.id, match.document_id, match.title, match.content, match.similarity) for match in matches
        )
        return Found(passages, Sources(tuple(_source(passage) for passage in passages)))


def _source(passage: Passage) -> Source:
    text = " ".join(passage.content.split())
    excerpt = text if len(text) <= EXCERPT_CHARACTERS else text[: EXCERPT_CHARACTERS - 1].rstrip() + "…"
    return Source(passage.id, passage.document_id, passage.title, round(passage.similarity, 4), excerpt)
