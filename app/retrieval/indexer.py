"""Gives stored documents their vectors in the background, in batches; any replica goes on where one was killed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from functools import partial

from app import observe
from app.errors import AnswerTimeout, AppError, ContextTooLong, ProviderError, RequestRefused, VectorsTooWide
from app.providers.base import EMBEDDING_WIDTH
from app.retrieval.embedders import Embedders, PassageEmbedder
from app.store.charges import Charges
from app.store.indexing import Indexing, IndexJob, PassageVector
from app.store.replies import Charge

BATCH = 64
"""Passages between two writes: what a kill costs, and how often progress is told."""
AT_ONCE = 3
"""Documents that a process indexes at the same time. The database gives it at most two of one user."""
POLL_SECONDS = 3.0
"""How soon a document is taken up that another process stored, or left."""
RENEW_SECONDS = 4.0
"""The lease is 15 s; an embedding provider may take longer than that for a batch."""


class Indexer:
    def __init__(self, indexing: Indexing, charges: Charges, embedders: Embedders, *, max_passages: int) -> None:
        self._indexing = indexing
        self._charges = charges
        self._embedders = embedders
        self._passages = PassageEmbedder(embedders.current)
        self._max_passages = max_passages
        self._worker = str(uuid.uuid4())
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()

    @property
    def model(self) -> str:
        """Whose vectors it makes."""
        return self._embedders.current.model

    def wake(self) -> None:
        """A document has been stored: look now."""
        self._woken.set()

    async def run(self) -> None:
        """Index for as long as the process runs. When cancelled, gives back what it has not finished."""
        try:
            async with asyncio.TaskGroup() as both:
                # Awaited here, since a task group takes no notice of a task that something else has cancelled.
                await asyncio.gather(both.create_task(self._take_up()), both.create_task(self._renew()))
        finally:
            tasks = tuple(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # it goes on where the process has no time left to wait for it, and must not fail unheard then
            await asyncio.shield(self._release())

    async def _release(self) -> None:
        try:
            await self._indexing.release_index_jobs(self._worker)
        except AppError:
            observe.event("indexing.retry", step="release")

    async def _take_up(self) -> None:
        while True:
            self._woken.clear()
            await self._claim()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _claim(self) -> None:
        free = AT_ONCE - len(self._tasks)
        if free <= 0:
            return
        try:
            jobs = await self._indexing.claim_index_jobs(self._worker, self.model, free)
        except AppError as error:
            observe.event("indexing.retry", step="claim", error=error.code)
            return
        for job in jobs:
            task = asyncio.create_task(self._index(job))
            self._tasks[job.document_id] = task
            task.add_done_callback(partial(self._done, job.document_id))

    def _done(self, document_id: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            observe.unforeseen("indexing.failed", error)
        self._tasks.pop(document_id, None)
        self.wake()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._tasks:
                try:
                    await self._indexing.renew_index_jobs(self._worker, list(self._tasks))
                except AppError as error:
                    observe.event("indexing.retry", step="renew", error=error.code)

    async def _index(self, job: IndexJob) -> None:
        """Index one document to its end, or give it back."""
        try:
            if job.passages > self._max_passages:
                reason = f"A document has at most {self._max_passages} passages."
                await self._indexing.postpone_index_job(self._worker, job.document_id, reason, final=True)
                return
            await self._index_batches(job)
        except ProviderError as error:
            final = isinstance(error, RequestRefused)
            observe.event("indexing.postponed", provider=error.provider, error=type(error).__name__, final=final)
            await self._postpone(job, _reason(error), final=final)
        except AppError as error:
            # the database: its lease runs out, and whoever reaches it then goes on
            observe.event("indexing.retry", step="store", error=error.code)
        except Exception as error:
            observe.unforeseen("indexing.failed", error)
            await self._postpone(job, "Something went wrong while indexing.", final=False)

    async def _index_batches(self, job: IndexJob) -> None:
        embedder = self._passages
        vectors: list[PassageVector] = []
        while True:
            step = await self._indexing.index_passages(self._worker, job, embedder.model, vectors, BATCH)
            if step.state != "indexing":
                return
            embedded = await self._embedded(job, [waiting.content for waiting in step.passages])
            vectors = [
                PassageVector(waiting.passage, vector) for waiting, vector in zip(step.passages, embedded, strict=True)
            ]

    async def _embedded(self, job: IndexJob, texts: Sequence[str]) -> list[str]:
        """The vectors of passages, once their owner is charged for them, whatever becomes of the document."""
        spent: list[Charge] = []
        try:
            return await self._passages.embed(texts, spent)
        finally:
            if job.user_id is not None:
                await asyncio.shield(self._charges.charge(job.user_id, spent, document_id=job.document_id))

    async def _postpone(self, job: IndexJob, reason: str, *, final: bool) -> None:
        try:
            await self._indexing.postpone_index_job(self._worker, job.document_id, reason, final=final)
        except AppError as error:
            observe.event("indexing.retry", step="postpone", error=error.code)


def _reason(error: ProviderError) -> str:
    """For the owner, without the provider's own words."""
    if isinstance(error, ContextTooLong):
        return "A passage is too long for the embedding model."
    if isinstance(error, VectorsTooWide):
        return f"The vectors of EMBEDDING_MODEL have more than {EMBEDDING_WIDTH} numbers, which is the limit."
    if isinstance(error, RequestRefused):
        return "The embedding provider refuses the text."
    if isinstance(error, AnswerTimeout):
        return "The embedding provider does not answer in time."
    return "The embedding provider is unavailable."
