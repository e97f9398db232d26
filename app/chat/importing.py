"""Imports: run beside the requests of the process that took the file, in parts that may be sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from app import observe
from app.errors import AppError, Draining, SupabaseUnavailable
from app.store.imports import Import, ImportedConversation, ImportedDocument, ImportedMessage, ImportFile, Part
from app.values import User

T = TypeVar("T")

IMPORTS_AT_ONCE = 4
"""In this process; each holds its file."""
PART_MESSAGES, PART_CHARACTERS = 200, 300_000
PART_DOCUMENTS = 100
PAUSE_SECONDS = 0.02
"""Between two parts, so that Realtime, and everybody else, has room."""
TRIES, RETRY_SECONDS = 6, 1.0


class ImportStore(Protocol):
    async def begin(self, token: str, conversations: int) -> Import: ...
    async def add_messages(
        self,
        import_id: str,
        conversation: ImportedConversation,
        messages: Sequence[ImportedMessage],
        *,
        fresh: bool,
        last: bool,
    ) -> Part: ...
    async def add_documents(self, import_id: str, documents: Sequence[ImportedDocument]) -> None: ...
    async def end(self, import_id: str, error: str | None = None) -> None: ...


class Importer:
    def __init__(self, store: ImportStore) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()

    def check_room(self) -> None:
        """Raises `Draining` when the process can take no further file."""
        if len(self._tasks) >= IMPORTS_AT_ONCE:
            raise Draining("This server imports as much as it can; send the file again.", retry_after=10)

    async def begin(self, user: User, file: ImportFile) -> Import:
        """Begin to import `file`, and return at once."""
        self.check_room()
        begun = await self._store.begin(user.token, len(file.conversations))
        task = asyncio.create_task(self._run(begun.id, file))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return begun

    async def aclose(self) -> None:
        """End all imports. What they have added stays, and the rest may be sent again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, import_id: str, file: ImportFile) -> None:
        try:
            await self._add(import_id, file)
        except AppError as error:
            observe.event("import.failed", error=error.code)
            await self._end(import_id, str(error))
        except Exception as error:
            observe.unforeseen("import.failed", error)
            await self._end(import_id, "Something went wrong. Send the file again: what is there is not added twice.")
        else:
            await self._end(import_id)

    async def _end(self, import_id: str, error: str | None = None) -> None:
        try:
            await self._store.end(import_id, error)
        except AppError as failure:  # it counts as interrupted after a minute
            observe.event("import.failed", error=failure.code)

    async def _add(self, import_id: str, file: ImportFile) -> None:
        for start in range(0, len(file.documents), PART_DOCUMENTS):
            documents = file.documents[start : start + PART_DOCUMENTS]
            await _retried(partial(self._store.add_documents, import_id, documents))
        for conversation in file.conversations:
            fresh = False
            parts = list(_parts(conversation.messages))
            for number, part in enumerate(parts, 1):
                last = number == len(parts)
                add = partial(self._store.add_messages, import_id, conversation, part, fresh=fresh, last=last)
                fresh = (await _retried(add)).fresh
                await asyncio.sleep(PAUSE_SECONDS)


async def _retried(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer; while the database is unavailable it is made again."""
    for _ in range(TRIES - 1):
        try:
            return await call()
        except SupabaseUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
    return await call()


def _parts(messages: Sequence[ImportedMessage]) -> Iterator[Sequence[ImportedMessage]]:
    """The messages in parts; one empty part for none."""
    part: list[ImportedMessage] = []
    characters = 0
    for message in messages:
        size = len(message.content) + len(message.reasoning)
        if part and (len(part) >= PART_MESSAGES or characters + size > PART_CHARACTERS):
            yield part
            part, characters = [], 0
        part.append(message)
        characters += size
    yield part
