"""Replies that are being read: one buffer a reply, any number of followers, none of which can slow the others.

A reply is the text so far plus how it began and how it ended. A follower is only a place in it: whoever falls behind
reads the text it has missed in one piece, so nothing is queued for anyone and memory is the text itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.errors import Draining, RateLimited
from app.messages import Ending, Preamble, Source, Sources

MAX_REPLIES = 2000
"""Replies written at once by a process; further turns are refused with `draining`, another replica may take them."""
MAX_REPLY_CHARACTERS = 500_000
"""A longer reply ends with finish reason `length`."""
MAX_FOLLOWERS_PER_REPLY = 50
MAX_FOLLOWERS = 5000
HEARTBEAT_SECONDS = 12.0
"""A follower that was sent nothing for this long is sent a comment; with the watch's pace, at most 15 s of silence."""
STALL_SECONDS = 30.0
"""A follower whose connection takes nothing for this long is cut; it can resume."""
WATCH_SECONDS = 1.0


class Reply:
    """A reply as its followers see it. Offsets count code points."""

    __slots__ = (
        "__weakref__",
        "_awaiting",
        "_ended",
        "_held",
        "_held_length",
        "_last",
        "_last_start",
        "_tail",
        "_whole",
        "conversation_id",
        "detached",
        "ending",
        "followers",
        "frame",
        "id",
        "length",
        "model",
        "preamble",
        "provider",
        "user_id",
    )

    def __init__(self, id: str, *, conversation_id: str, user_id: str) -> None:
        self.id = id
        self.conversation_id = conversation_id
        self.user_id = user_id
        self.provider: str | None = None
        self.model: str | None = None
        self.preamble: list[Preamble] = []
        self.length = 0
        self.ending: Ending | None = None
        self.detached = False
        self.followers: set[Follower] = set()
        self.frame: tuple[int, int, bytes] | None = None
        """The newest text as it is sent: (start, end, bytes), encoded once for all followers that are up to date."""
        self._awaiting = 0
        self._whole = ""
        self._tail: list[str] = []
        self._last = ""
        self._last_start = 0
        self._ended: asyncio.Future[None] | None = None
        self._held: list[str] | None = None
        self._held_length = 0

    def announce(self, event: Preamble) -> None:
        self.preamble.append(event)
        self._wake()

    @property
    def sources(self) -> tuple[Source, ...] | None:
        """What it draws on, once that was announced; it is before the text."""
        return next((event.items for event in self.preamble if isinstance(event, Sources)), None)

    def append(self, text: str) -> None:
        if self._held is not None:
            self._held.append(text)
            self._held_length += len(text)
            return
        self._last = text
        self._last_start = self.length
        self._tail.append(text)
        self.length += len(text)
        self._wake()

    def text(self, start: int = 0) -> str:
        """What has been written from offset `start` on."""
        if start == self._last_start:
            return self._last
        if self._tail:
            self._whole += "".join(self._tail)
            self._tail.clear()
        return self._whole[start:] if start else self._whole

    @property
    def written(self) -> int:
        """How long the text is with what is held back."""
        return self.length + self._held_length

    @property
    def held(self) -> bool:
        return self._held is not None

    def hold(self) -> None:
        """From now on text is held back: neither readers nor the journal see that there is any."""
        self._held = []

    def release(self) -> None:
        """Show what was held back, and what follows."""
        if text := self.discard():
            self.append(text)

    def discard(self) -> str:
        """Hold nothing back any longer, and return what was; nobody will see it."""
        text = "".join(self._held or ())
        self._held, self._held_length = None, 0
        return text

    def withdraw(self) -> None:
        """Take the whole text back. Its readers learn by the ending that they hold too much."""
        self._tail.clear()
        self._whole = self._last = ""
        self._last_start = self.length = 0
        self.frame = None

    def end(self, ending: Ending) -> None:
        """Nothing follows. Must come after the final state is stored."""
        self.ending = ending
        self._wake()
        self._settle()

    def detach(self) -> None:
        """Nothing more can be learnt of this reply here: its readers must connect again."""
        self.detached = True
        for follower in self.followers:
            follower.reconnect = True
        self._wake()
        self._settle()

    def _settle(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def ended(self) -> None:
        """Wait for the end, or for its being detached."""
        self._awaiting += 1
        try:
            while self.ending is None and not self.detached:
                if self._ended is None:
                    self._ended = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._ended)
        finally:
            self._awaiting -= 1

    @property
    def awaited(self) -> bool:
        """Somebody waits for the end without reading."""
        return self._awaiting > 0

    def _wake(self) -> None:
        for follower in self.followers:
            follower.wake()


class Follower:
    """One reader's place in a reply: how much of the beginning and of the text it has been sent."""

    __slots__ = (
        "_loop",
        "_waiter",
        "abort",
        "announced",
        "beat",
        "cut",
        "offset",
        "reconnect",
        "reply",
        "sent_at",
        "writing",
    )

    def __init__(self, reply: Reply, *, announced: int, offset: int) -> None:
        self.reply = reply
        self.announced = announced
        self.offset = offset
        self.writing = False
        self.beat = False
        self.cut = False
        self.reconnect = False
        self.abort: Callable[[], None] | None = None
        """Closes the connection at once, whatever is still buffered for it."""
        self._loop = asyncio.get_running_loop()
        self.sent_at = self._loop.time()
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def changed(self) -> None:
        """Wait until there is something to send. The caller has just found that there is nothing."""
        self._waiter = self._loop.create_future()
        await self._waiter

    def drop(self) -> None:
        """Send nothing more: the reader is gone or takes nothing."""
        self.cut = True
        self.wake()
        if self.writing and self.abort is not None:
            self.abort()


class LiveReplies:
    """The replies that this process reads out: those it writes, and those it follows on another replica's behalf."""

    def __init__(self) -> None:
        self._replies: dict[str, Reply] = {}
        self._followers: set[Follower] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, reply_id: str) -> Reply | None:
        return self._replies.get(reply_id)

    def check_capacity(self, expected: int = 0) -> None:
        """Raises `Draining` when this process takes no further turn. `expected` replies are about to be added."""
        if self.draining:
            raise Draining(retry_after=1)
        if len(self._replies) + expected >= MAX_REPLIES:
            raise Draining("This server writes as many replies as it can; send the request again.", retry_after=1)
        if len(self._followers) >= MAX_FOLLOWERS:  # before a turn is begun that its sender could not read here
            raise Draining("This server has as many readers as it can; send the request again.", retry_after=1)

    def add(self, reply: Reply) -> None:
        self._replies[reply.id] = reply

    def remove(self, reply: Reply) -> None:
        self._replies.pop(reply.id, None)

    def follow(self, reply: Reply, *, announced: int = 0, offset: int = 0) -> Follower:
        """A new follower at that place. Raises `RateLimited` when the reply or the process has too many."""
        if len(reply.followers) >= MAX_FOLLOWERS_PER_REPLY:
            raise RateLimited(f"A reply has at most {MAX_FOLLOWERS_PER_REPLY} readers at once.", retry_after=5)
        if len(self._followers) >= MAX_FOLLOWERS:
            raise Draining("This server has as many readers as it can; connect again.", retry_after=1)
        follower = Follower(reply, announced=announced, offset=offset)
        follower.reconnect = self.draining or reply.detached
        reply.followers.add(follower)
        self._followers.add(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        follower.reply.followers.discard(follower)
        self._followers.discard(follower)

    def drain(self) -> None:
        """Take no further turn and send every reader elsewhere."""
        self.draining = True
        for follower in self._followers:
            follower.reconnect = True
            follower.wake()

    async def watch(self) -> None:
        """Keep silent connections alive and cut stalled ones, for as long as the process runs."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = loop.time()
            for follower in tuple(self._followers):
                silence = now - follower.sent_at
                if follower.writing:
                    if silence > STALL_SECONDS:
                        follower.drop()
                elif silence > HEARTBEAT_SECONDS:
                    follower.beat = True
                    follower.wake()
