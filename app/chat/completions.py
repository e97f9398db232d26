"""Completions of this process: admitted, kept alive in the database while they are written, charged, and drained."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from app import observe, watch
from app.chat.completion import TOO_LONG, CompletionWriter, with_system_prompt
from app.chat.endings import Cut
from app.chat.journal import MAX_FINISH_BATCH, OUTAGE_SECONDS, Journal
from app.chat.live import Followers
from app.chat.offering import Offering
from app.chat.turn import MAX_REPLIES, STORE_SECONDS
from app.chat.writer import Tools
from app.errors import AppError, Draining, InvalidRequest, PromptTooLong, UnknownModel
from app.routing.catalog import provider_names
from app.routing.router import Candidate, ModelPreference, Offer
from app.store.completions import BegunCompletion, FinishedCompletion, Renewed
from app.store.messages import AllowedModel, OfferedModel, TurnOffer
from app.values import AUTO, ChatRequest, User, estimate_request

RENEW_SECONDS = 1.0
"""How often what is held is renewed, for all completions of the process in one call. Of a process that is killed, what
came after the last time is charged to nobody."""


class CompletionStore(Protocol):
    async def begin(
        self, user_id: str, completion_id: str, *, prompt_tokens: int, max_tokens: int | None, offer: TurnOffer
    ) -> BegunCompletion: ...
    async def renew(self, spent: Sequence[Renewed]) -> None: ...
    async def finish(self, finished: Sequence[FinishedCompletion]) -> None: ...
    async def models(self, user_id: str, models: Sequence[OfferedModel]) -> list[AllowedModel]: ...


class _Uncharged(NamedTuple):
    """A completion that is over; `done` once its charge is stored, or given up."""

    finished: FinishedCompletion
    deadline: float
    done: asyncio.Future[None]


class Candidates(Protocol):
    async def candidates(self, preference: ModelPreference) -> tuple[Candidate, ...]: ...
    async def all(self) -> tuple[Sequence[Offer], Candidate | None]: ...


class Completions:
    def __init__(
        self,
        store: CompletionStore,
        offers: Candidates,
        offering: Offering,
        followers: Followers,
        tools: Tools,
        *,
        outage: float = OUTAGE_SECONDS,
    ) -> None:
        """`outage` is for how many seconds the database may fail until completions end and charges are given up."""
        self._store = store
        self._offers = offers
        self._offering = offering
        self._followers = followers
        self._tools = tools
        self._outage = outage
        self._writing: dict[str, CompletionWriter] = {}
        self._beginning = 0
        self._begun = asyncio.Event()
        self._uncharged: list[_Uncharged] = []
        self._charging: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many completions are being written."""
        return len(self._writing)

    @property
    def uncharged(self) -> int:
        """How many completions that are over wait for the next call that charges them."""
        return len(self._uncharged)

    async def begin(self, user: User, asked: ChatRequest) -> CompletionWriter:
        """Admit a completion and begin to write it. Its model is `auto`, a provider, a model, or both with a slash.

        Raises `Draining` when this process takes no further completion, `UnknownModel`, `PromptTooLong`, what the
        router raises, and what the database function `begin_completion` raises.
        """
        self._followers.check_capacity()
        self._followers.check_room(user.id)
        if len(self._writing) + self._beginning >= MAX_REPLIES:
            raise Draining("This server writes as many replies as it can; send the request again.", retry_after=1)
        completion_id = str(uuid.uuid4())
        watched = watch.watcher().reply("completion")
        self._beginning += 1
        try:
            preference, candidates = await self._candidates(asked)
            prompt_tokens = estimate_request(with_system_prompt(asked, self._tools.system_prompt))
            candidates = _fitting(candidates, prompt_tokens, named=asked.model != AUTO)
            begun = await self._admitted(user, completion_id, asked, preference, candidates, prompt_tokens)
        except BaseException as error:
            watched.refused(error)
            raise
        finally:
            self._beginning -= 1
        watched.begun(None, completion_id)
        candidates = self._offering.allowed(begun.models, candidates)
        writer = CompletionWriter(
            self._tools,
            self._offering,
            user.id,
            completion_id,
            asked,
            begun,
            candidates,
            self._settle,
            named=asked.model != AUTO,
            watched=watched,
        )
        self._writing[completion_id] = writer
        self._begun.set()
        if self._closed:  # begun too late for an answer
            writer.cut(Cut.SHUTDOWN)
        writer.start(over=lambda: self._writing.pop(completion_id))
        return writer

    async def _candidates(self, asked: ChatRequest) -> tuple[ModelPreference, tuple[Candidate, ...]]:
        """Raises `UnknownModel` and what else the router raises."""
        last: UnknownModel | None = None
        for named in preferences(asked.model):
            # a model that was asked for writes as much as it can; of the others one that can write so much is taken
            most = asked.max_tokens if asked.model == AUTO else None
            preference = msgspec.structs.replace(named, max_tokens=most)
            try:
                return preference, await self._offers.candidates(preference)
            except UnknownModel as error:
                last = error
        raise last or UnknownModel

    async def _admitted(
        self,
        user: User,
        completion_id: str,
        asked: ChatRequest,
        preference: ModelPreference,
        candidates: Sequence[Candidate],
        prompt_tokens: int,
    ) -> BegunCompletion:
        try:
            return await self._store.begin(
                user.id,
                completion_id,
                prompt_tokens=prompt_tokens,
                max_tokens=asked.max_tokens,
                offer=self._offering.of(preference, candidates, 0),
            )
        except InvalidRequest as error:
            if error.detail is not None and error.detail.startswith("model:"):
                raise UnknownModel(error.detail) from error
            raise

    async def models(self, user: User) -> list[tuple[str, str]]:
        """The models that this user may name now, each as its provider and its name."""
        offers, _ = await self._offers.all()
        specs = {
            (offer.spec.provider, offer.spec.model): self._offering.offered(offer.spec)
            for offer in offers
            if offer.available
        }
        return [(one.provider, one.model) for one in await self._store.models(user.id, list(specs.values()))]

    # ── the database ─────────────────────────────────────────────────────────────────────────────────────────────

    async def renew(self) -> None:
        """Renew what is held for completions, for as long as the process runs."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while True:
            await self._begun.wait()
            await asyncio.sleep(RENEW_SECONDS)
            if not self._writing:
                self._begun.clear()
                answered = loop.time()
                continue
            writers = list(self._writing.values())
            try:
                await self._store.renew([Renewed(writer.reply.id, writer.known()) for writer in writers])
            except AppError as error:
                observe.event("completion.unrenewed", completions=len(writers), code=error.code)
                if loop.time() - answered > self._outage:
                    for writer in writers:
                        writer.cut(Cut.OUTAGE)
            else:
                answered = loop.time()

    async def _settle(self, finished: FinishedCompletion) -> None:
        """Charge a completion. It goes on when the caller is cancelled. If the database fails for too long, or the
        process ends before, recovery charges what was known at the last renewal."""
        loop = asyncio.get_running_loop()
        waiting = _Uncharged(finished, loop.time() + self._outage, loop.create_future())
        self._uncharged.append(waiting)
        if self._charging is None:
            self._charging = asyncio.create_task(self._charge_all())
        await asyncio.shield(waiting.done)

    async def _charge_all(self) -> None:
        """Charge those that are over: while one call is made, the next collects."""
        try:
            while self._uncharged:
                batch, self._uncharged = self._uncharged[:MAX_FINISH_BATCH], self._uncharged[MAX_FINISH_BATCH:]
                await self._charge(batch)
        finally:
            self._charging = None

    async def _charge(self, batch: Sequence[_Uncharged]) -> None:
        finished = [one.finished for one in batch]
        try:
            await Journal.persist(lambda: self._store.finish(finished), max(one.deadline for one in batch))
        except InvalidRequest as error:
            # a value that the database refuses takes no other charge with it
            if len(batch) == 1:
                observe.event("completion.uncharged", completion_id=finished[0].id, code=error.code)
            for one in batch if len(batch) > 1 else ():
                await self._charge([one])
        except AppError as error:
            for completion in finished:
                observe.event("completion.uncharged", completion_id=completion.id, code=error.code)
        finally:
            for one in batch:
                if not one.done.done():
                    one.done.set_result(None)

    # ── the end of the process ───────────────────────────────────────────────────────────────────────────────────

    async def drain(self, grace: float) -> None:
        """Let the completions finish for `grace` seconds, then end the rest as interrupted."""
        if self._closed:
            return
        await _until(lambda: not self._writing and not self._beginning, grace)
        self._closed = True
        for writer in tuple(self._writing.values()):
            writer.cut(Cut.SHUTDOWN)
        await _until(lambda: not self._writing and not self._beginning and self._charging is None, STORE_SECONDS)


async def _until(idle: Callable[[], bool], patience: float) -> None:
    deadline = asyncio.get_running_loop().time() + patience
    # looks rather than waits, as in `Turns.drain`
    while not idle() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def preferences(model: str) -> list[ModelPreference]:
    """What `model` may mean, the likeliest first: `auto`, a provider, a provider and its model with a slash between
    them, a model."""
    names = provider_names()
    if model == AUTO:
        return [ModelPreference()]
    if model in names:
        return [ModelPreference(provider=model)]
    provider, slash, rest = model.partition("/")
    both = [ModelPreference(provider=provider, model=rest)] if slash and rest and provider in names else []
    return [*both, ModelPreference(model=model)]


def _fitting(candidates: Sequence[Candidate], prompt_tokens: int, *, named: bool) -> tuple[Candidate, ...]:
    """The candidates with a context that is large enough, as far as is known. Raises `PromptTooLong` without any, and
    for the first one where a model was `named`: no other one takes its place."""
    found = tuple(one for one in candidates if one.context_tokens is None or prompt_tokens < one.context_tokens)
    if not found or (named and found[0] != candidates[0]):
        raise PromptTooLong(TOO_LONG)
    return found
