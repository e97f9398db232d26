"""Finding a reply to read, wherever it is: written here, by another replica, or over.

A reply that another replica writes is followed in the database, by one task for all its readers here, with the token
of the reader who came first: ownership is judged by the database with every look.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

import msgspec

from app.chat.live import LiveReplies, Reply
from app.chat.sources import Asker
from app.chat.turn import DELETED
from app.errors import ERRORS, AppError, Interrupted, NotFound, SupabaseUnavailable
from app.guard.moderation import flagged
from app.messages import Done, Ending, Failed, Source, Sources, Started, Stopped
from app.store.messages import Messages, ReplyPart
from app.store.rows import StoredMessage

LOOK_SECONDS = 0.25
"""Between two looks at a reply that another replica writes; it stores new text twice a second."""
PATIENCE_SECONDS = 30.0
"""How long looks may fail before the readers are asked to connect again."""


class Readers:
    def __init__(self, messages: Messages, live: LiveReplies) -> None:
        self._messages = messages
        self._live = live
        self._followed: dict[str, Reply] = {}
        # while somebody reads a finished reply, all who do share one copy of its text
        self._finished: WeakValueDictionary[str, Reply] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, asker: Asker, message_id: str) -> Reply:
        """The reply, to be followed. Raises `NotFound` unless it is the asker's."""
        reply = self._live.get(message_id) or self._followed.get(message_id)
        if reply is not None:
            if reply.user_id != asker.id:
                raise NotFound("No such reply.")
            return reply
        finished = self._finished.get(message_id)
        part = await self._messages.read_reply(asker.token, message_id, finished.length if finished else 0)
        if finished is not None:
            if not part.text and finished.ending == ending(part.message, finished.length):
                return finished
            # an interrupted reply whose writer came back has another end
            part = await self._messages.read_reply(asker.token, message_id, 0)
        reply = self._live.get(message_id) or self._followed.get(message_id)
        if reply is not None:  # another reader was faster
            return reply
        row = part.message
        reply = Reply(row.id, conversation_id=row.conversation_id, user_id=asker.id)
        reply.provider, reply.model = row.provider, row.model
        reply.announce(Started(row.conversation_id, row.parent_id or "", row.id, row.provider, row.model))
        _announce_sources(reply, row)
        if part.text:
            reply.append(part.text)
        if row.status == "streaming":
            self._followed[message_id] = reply
            task = asyncio.create_task(self._follow(asker.token, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            reply.end(ending(row, reply.length))
            finished = self._finished.setdefault(message_id, reply)
            if finished.ending == reply.ending:  # another reader may have been faster here too
                return finished
            self._finished[message_id] = reply
        return reply

    async def aclose(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, token: str, reply: Reply) -> None:
        loop = asyncio.get_running_loop()
        seen_at = loop.time()
        try:
            while loop.time() - seen_at < PATIENCE_SECONDS:
                await asyncio.sleep(LOOK_SECONDS)
                if not reply.followers and not reply.awaited:
                    return
                try:
                    part = await self._messages.read_reply(token, reply.id, reply.length)
                except SupabaseUnavailable:
                    continue
                seen_at = loop.time()
                if self._take(reply, part):
                    return
        except NotFound:
            reply.end(DELETED)
        except AppError:
            pass  # the token has run out, most likely: the readers come back with a new one
        finally:
            self._followed.pop(reply.id, None)
            if reply.ending is None:
                reply.detach()

    @staticmethod
    def _take(reply: Reply, part: ReplyPart) -> bool:
        reply.provider, reply.model = part.message.provider, part.message.model
        if reply.sources is None:
            _announce_sources(reply, part.message)
        if part.text:
            reply.append(part.text)
        if part.message.status == "streaming":
            return False
        if part.message.flagged is not None:
            reply.withdraw()
        reply.end(ending(part.message, reply.length))
        return True


def _announce_sources(reply: Reply, row: StoredMessage) -> None:
    """They are stored with the first piece of text, so they come before it here too."""
    if row.sources is not None:
        reply.announce(Sources(msgspec.convert(row.sources, tuple[Source, ...])))


def ending(row: StoredMessage, length: int) -> Ending:
    """How a stored reply ended."""
    if row.status == "stopped":
        return Stopped(row.usage, length)
    if row.status in ("failed", "interrupted"):
        error = Interrupted if row.status == "interrupted" else ERRORS.get(row.error_code or "", AppError)
        return Failed(error().problem(), row.status, length)
    if row.flagged is not None:
        return Failed(flagged(row.flagged).problem(), row.status, length)
    return Done(row.status, row.finish_reason, row.usage, row.provider, row.model, length)
