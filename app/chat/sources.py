"""The documents that a turn draws on: found while the turn is begun, and never a reason for it to fail."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from app import observe
from app.errors import AppError, ProviderUnavailable
from app.retrieval.search import MAX_QUERY_CHARACTERS, Search
from app.store.charges import Charges
from app.store.replies import Charge
from app.values import Passage, Source, Sources, User

SECONDS = 5.0
"""After which a turn goes on without."""
EMBEDDING_SECONDS = 3.5
"""After which it goes on with what the other models of the user's passages find."""
PASSAGES = 6
EXCERPT_CHARACTERS = 240
KNOWN_USERS = 10_000


class Found(msgspec.Struct, frozen=True):
    """What was found, for the prompt and for the readers."""

    passages: tuple[Passage, ...]
    sources: Sources


class EarlySearch:
    """A search that began before its turn. It asks nobody for a vector until it is `admitted`."""

    def __init__(self, search: Callable[[asyncio.Event, list[Charge]], Coroutine[Any, Any, Found]]) -> None:
        self.admitted = asyncio.Event()
        self.began = time.perf_counter()
        self.spent: list[Charge] = []
        """The embeddings that were asked for."""
        self.task = asyncio.create_task(search(self.admitted, self.spent))

    def cancel(self) -> None:
        self.task.cancel()


class Retriever:
    """Searches for turns. `enabled` is for messages that do not say themselves; False there is False for all."""

    def __init__(self, search: Search, charges: Charges, *, enabled: bool) -> None:
        self._search = search
        self._charges = charges
        self._abandoned: set[asyncio.Task[None]] = set()
        self._enabled = enabled
        self._searchable: OrderedDict[str, bool] = OrderedDict()
        """Whether a user had passages in the last turn."""

    def start_early(self, user: User, question: str | None, use_rag: bool | None) -> EarlySearch | None:
        """Begin to search beside `begin_turn`, unless the user is known to have no documents. Of a user who has not
        been let in before, only the models of their passages are looked up."""
        known = self._searchable.get(user.id)
        if question is None or known is False or not self.wanted(use_rag):
            return None
        early = EarlySearch(partial(self._find, user, question))
        if known:
            early.admitted.set()
        return early

    def settle(
        self,
        user: User,
        question: str,
        use_rag: bool | None,
        early: EarlySearch | None,
        *,
        searchable: bool,
    ) -> EarlySearch | None:
        """The search of a turn that was begun: the early one, a new one, or none, by what the database says."""
        self._searchable[user.id] = searchable
        self._searchable.move_to_end(user.id)
        if len(self._searchable) > KNOWN_USERS:
            self._searchable.popitem(last=False)
        if not searchable or not self.wanted(use_rag):
            return None
        early = early or EarlySearch(partial(self._find, user, question))
        early.admitted.set()
        return early

    def abandon(self, user: User, early: EarlySearch) -> None:
        """End a search whose turn was not begun, or needs none. What it has cost is charged, and the next one waits
        until its turn is let in. A user without documents stays known as such."""
        early.cancel()
        if self._searchable.get(user.id):
            del self._searchable[user.id]
        charging = asyncio.create_task(self._charge(user.id, early))
        self._abandoned.add(charging)
        charging.add_done_callback(self._abandoned.discard)

    async def _charge(self, user_id: str, early: EarlySearch) -> None:
        await asyncio.wait({early.task})
        try:
            await self._charges.charge(user_id, early.spent)
        except AppError as error:
            observe.event("retrieval.uncharged", error=error.code)

    def wanted(self, use_rag: bool | None) -> bool:
        """Whether a turn that says this draws on documents, if there are any."""
        return self._enabled and use_rag is not False

    async def _find(self, user: User, question: str, admitted: asyncio.Event, spent: list[Charge]) -> Found:
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._search.find(
                    user.token,
                    question[:MAX_QUERY_CHARACTERS],
                    limit=PASSAGES,
                    patience=EMBEDDING_SECONDS,
                    admitted=admitted,
                    spent=spent,
                )
        except (AppError, TimeoutError) as error:
            code = error.code if isinstance(error, AppError) else ProviderUnavailable.code
            observe.event("retrieval.failed", error=code)
            return Found((), Sources((), code))
        except Exception as error:
            observe.unforeseen("retrieval.failed", error)
            return Found((), Sources((), AppError.code))
        passages = tuple(
            Passage(match.id, match.document_id, match.title, match.content, match.similarity)
            for match in found.passages
        )
        error_code = ProviderUnavailable.code if found.missing else None
        return Found(passages, Sources(tuple(_source(passage) for passage in passages), error_code))


def _source(passage: Passage) -> Source:
    text = " ".join(passage.content.split())
    excerpt = text if len(text) <= EXCERPT_CHARACTERS else text[: EXCERPT_CHARACTERS - 1].rstrip() + "…"
    return Source(passage.id, passage.document_id, passage.title, round(passage.similarity, 4), excerpt)
