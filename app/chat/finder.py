"""Finds a reply to read: one that this process writes, one that another replica writes, or a finished one.

A reply that another replica writes is followed in the database, by one task for all its readers here, with the token
of the reader who came first: ownership is judged by the database with every look.
"""

from __future__ import annotations

import asyncio
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from app import observe
from app.chat.endings import DELETED, ending_of
from app.chat.live import Reply
from app.errors import AppError, NotFound, RateLimited, SupabaseUnavailable
from app.store.messages import Messages, ReplyPart
from app.values import Source, Sources, User

LOOK_SECONDS = 0.25
"""Between two looks at a reply that another replica writes; it stores new text twice a second."""
PATIENCE_SECONDS = 30.0
"""How long looks may fail before the readers are asked to connect again."""


class Written(Protocol):
    """The replies that this process writes: `turn.Turns`."""

    def find(self, message_id: str) -> Reply | None: ...


class ReplyFinder:
    def __init__(self, messages: Messages, written: Written) -> None:
        self._messages = messages
        self._written = written
        self._followed: dict[str, Reply] = {}
        # while somebody reads a finished reply, all who do share one copy of its text
        self._finished: WeakValueDictionary[str, Reply] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, user: User, message_id: str) -> Reply:
        """The reply, to be followed. Raises `NotFound` unless it is the user's."""
        reply = self._growing(message_id)
        if reply is not None:
            if reply.user_id != user.id:
                raise NotFound("No such reply.")
            return reply
        finished = self._finished.get(message_id)
        part = await self._messages.read_reply(
            user.token, message_id, finished.length if finished else 0, finished.reasoned if finished else 0
        )
        if finished is not None:
            final = part.message.final(finished.length)
            if not part.text and not part.reasoning and final is not None and finished.ending == ending_of(final):
                return finished
            # an interrupted reply whose writer came back has another end
            part = await self._messages.read_reply(user.token, message_id, 0, 0)
        reply = self._growing(message_id)
        if reply is not None:  # another reader was faster
            return reply
        row = part.message
        reply = Reply(row.id, conversation_id=row.conversation_id, user_id=user.id)
        reply.begin(row.parent_id or "", row.provider, row.model)
        if not self._take(reply, part):
            self._followed[message_id] = reply
            task = asyncio.create_task(self._follow(user.token, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return reply
        finished = self._finished.setdefault(message_id, reply)
        if finished.ending == reply.ending:  # another reader may have been faster here too
            return finished
        self._finished[message_id] = reply
        return reply

    async def aclose(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _growing(self, message_id: str) -> Reply | None:
        """The reply, while it is written here or followed elsewhere."""
        return self._written.find(message_id) or self._followed.get(message_id)

    async def _follow(self, token: str, reply: Reply) -> None:
        loop = asyncio.get_running_loop()
        seen_at = loop.time()
        try:
            while loop.time() - seen_at < PATIENCE_SECONDS:
                await asyncio.sleep(LOOK_SECONDS)
                if not reply.awaited:
                    return
                try:
                    part = await self._messages.read_reply(token, reply.id, reply.length, reply.reasoned)
                except (SupabaseUnavailable, RateLimited):
                    continue
                seen_at = loop.time()
                if self._take(reply, part):
                    return
        except NotFound:
            reply.end(ending_of(DELETED))
        except AppError:
            pass  # the token has run out, most likely: the readers come back with a new one
        except Exception as error:
            observe.unforeseen("reading.failed", error)
        finally:
            self._followed.pop(reply.id, None)
            if reply.ending is None:
                reply.detach()

    @staticmethod
    def _take(reply: Reply, part: ReplyPart) -> bool:
        """Put what the database knows into the reply; True when that is its end."""
        row = part.message
        if row.sources is not None and reply.sources is None:
            # they are stored with the first piece of text, so they come before it here too
            reply.draw_on(Sources(msgspec.convert(row.sources, tuple[Source, ...])))
        if part.reasoning:
            reply.think(part.reasoning)
        if part.text:
            reply.append(part.text)
        if part.length == 0 and part.reasoned == 0:  # moderation may have taken back what there was
            reply.withdraw()
        final = row.final(reply.length)
        if final is None:
            return False
        reply.end(ending_of(final))
        return True
