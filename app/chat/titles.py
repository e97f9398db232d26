"""Titles: a conversation without one gets one after a complete reply. Nothing waits for it, nothing fails with it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Protocol

from app import observe, watch
from app.chat.offering import Offering, offered
from app.chat.spending import Spending
from app.chat.title_text import OUTPUT_TOKENS, first_words, title_of, title_request
from app.errors import AppError, ProviderError
from app.routing.catalog import Catalog, ModelSpec
from app.routing.failover import Failover
from app.routing.router import Candidate
from app.store.messages import AllowedModel, Begun, OfferedModel
from app.store.replies import Charge
from app.store.titles import BegunTitle
from app.values import Delta, Finish, ProviderName, Reasoning, estimate_prompt

TITLE_SECONDS = 8.0
"""How long a model may take. After that the title is made of the first words."""
MOST_AT_ONCE = 50
"""Titles that a process makes at once. A conversation whose reply ends while there are as many gets its title after the
next one."""
MOST_CHARACTERS = 2_000
"""What is read of an answer."""
MOST_OFFERED = 50
"""The cheapest models of those that are available; which of them are allowed, the database decides."""


class CheapModels(Protocol):
    async def cheapest(self) -> Sequence[ModelSpec]: ...


class TitleStore(Protocol):
    async def begin(
        self,
        user_id: str,
        conversation_id: str,
        title_id: str,
        models: Sequence[OfferedModel],
        *,
        prompt_tokens: int,
        output_tokens: int,
    ) -> BegunTitle | None: ...
    async def finish(
        self, user_id: str, conversation_id: str, title_id: str, title: str | None, calls: Sequence[Charge]
    ) -> bool: ...


class _Answer:
    """What a model has answered so far."""

    def __init__(self) -> None:
        self.text = ""
        self.thought = 0
        """Bytes of reasoning."""
        self.whole = False
        """The model has ended it."""


class Titles:
    """Of a process."""

    def __init__(self, store: TitleStore, models: CheapModels, failover: Failover, catalog: Catalog) -> None:
        self._store = store
        self._models = models
        self._failover = failover
        self._catalog = catalog
        self._offering = Offering(catalog)
        self._making: dict[str, asyncio.Task[str | None]] = {}
        """By conversation."""

    def __len__(self) -> int:
        """How many titles are being made."""
        return len(self._making)

    def give(self, user_id: str, begun: Begun) -> None:
        """Begin to give this turn's conversation a title. Returns at once."""
        conversation_id = begun.message.conversation_id
        if conversation_id in self._making or len(self._making) >= MOST_AT_ONCE:
            return
        said = (message.content for message in begun.history if message.role == "user")
        message = next(said, begun.user_message.content)
        task = asyncio.create_task(self._make(user_id, conversation_id, message))
        self._making[conversation_id] = task
        task.add_done_callback(lambda _: self._making.pop(conversation_id))

    async def made(self, conversation_id: str, within: float) -> str | None:
        """The title that the conversation is being given, once it has it; None after `within` seconds, and where none
        is made here."""
        task = self._making.get(conversation_id)
        if task is None:
            return None
        done, _ = await asyncio.wait({task}, timeout=within)
        return task.result() if done and not task.cancelled() else None

    async def aclose(self) -> None:
        """Make no more. The call of a title that is being made is charged by recovery."""
        making = tuple(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    async def _make(self, user_id: str, conversation_id: str, message: str) -> str | None:
        """The title, if it was set."""
        title_id = str(uuid.uuid4())
        answer, spending = _Answer(), None
        try:
            try:
                async with asyncio.timeout(TITLE_SECONDS):
                    begun = await self._begin(user_id, conversation_id, title_id, message)
                    if begun is None:
                        return None
                    spending = Spending(partial(self._offering.cost, begun.models), kind="title")
                    if begun.models:
                        await self._ask(begun.models, message, spending, answer)
            except TimeoutError:
                observe.event("title.unanswered")
            except (AppError, ProviderError):
                # why a model did not answer is in the log; what the database refused is refused
                if spending is None:
                    raise
            if spending is None:
                return None  # the database did not answer in time
            title = (title_of(answer.text) if answer.whole else None) or first_words(message)
            calls = spending.charges(len(answer.text.encode(errors="replace")), answer.thought)
            watch.watcher().spent(calls)
            if await self._store.finish(user_id, conversation_id, title_id, title, calls):
                return title
        except AppError as error:
            observe.event("title.failed", code=error.code)
        except Exception as error:
            observe.unforeseen("title.failed", error)
        return None

    async def _begin(self, user_id: str, conversation_id: str, title_id: str, message: str) -> BegunTitle | None:
        specs = (await self._models.cheapest())[:MOST_OFFERED]
        return await self._store.begin(
            user_id,
            conversation_id,
            title_id,
            [offered(spec, known=self._catalog.knows(spec.provider, spec.model)) for spec in specs],
            prompt_tokens=estimate_prompt(title_request("", message).messages),
            output_tokens=OUTPUT_TOKENS,
        )

    async def _ask(self, models: Sequence[AllowedModel], message: str, spending: Spending, answer: _Answer) -> None:
        """Have the cheapest model that can be called write a title, in one call. Raises what `Failover.answer` does."""
        specs = [self._catalog.spec(ProviderName(model.provider), model.model) for model in models]
        events = self._failover.answer(
            [Candidate(spec.provider, spec.model, spec.context_tokens, spec.max_output_tokens) for spec in specs],
            lambda candidate: spending.calling(
                candidate.provider, title_request(candidate.model, message), answer.thought
            ),
            spending.failed,
            most_calls=1,
            unanswered="title.unanswered",
            watched=watch.watcher().title(),
        )
        async with aclosing(events):
            async for event in events:
                if type(event) is Delta:
                    answer.text += event.text
                elif type(event) is Reasoning:
                    answer.thought += len(event.text.encode(errors="replace"))
                elif type(event) is Finish:
                    spending.finished(event.usage)
                    answer.whole = event.reason != "content_filter"
                if len(answer.text) + answer.thought > MOST_CHARACTERS:
                    return
