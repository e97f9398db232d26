"""Replies that are being read: one buffer a reply, any number of followers, none of which can slow the others.

A reply is the text and the reasoning so far plus how it began and how it ended. A follower is only a place in it:
whoever falls behind reads what it has missed in one piece, so nothing is queued and memory is the text itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from app.errors import Draining, RateLimited
from app.values import Ending, Preamble, Restart, Source, Sources, Started

MAX_REPLY_CHARACTERS = 500_000
"""A longer reply ends with finish reason `length`."""
MAX_REASONING_CHARACTERS = 500_000
"""What a model thinks beyond this is neither shown nor stored; its text goes on."""
MAX_FOLLOWERS_PER_REPLY = 50
MAX_FOLLOWERS_PER_USER = 1000
MAX_FOLLOWERS = 5000  # in all three, a request that waits for a reply's end counts as its reader
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
        "_held_thoughts",
        "_last",
        "_last_start",
        "_tail",
        "_thoughts",
        "_whole",
        "conversation_id",
        "detached",
        "ending",
        "followers",
        "id",
        "length",
        "model",
        "preamble",
        "provider",
        "reasoned",
        "user_id",
        "withdrawn",
        "written",
    )

    def __init__(self, id: str, *, conversation_id: str, user_id: str) -> None:
        self.id = id
        self.conversation_id = conversation_id
        self.user_id = user_id
        self.provider: str | None = None
        self.model: str | None = None
        self.preamble: list[Preamble] = []
        self.length = 0
        self.written = 0
        """How long the text is with what is held back."""
        self.reasoned = 0
        """How many code points of reasoning there are."""
        self.ending: Ending | None = None
        self.detached = False
        self.withdrawn = False
        """Its readers may hold more than there is."""
        self.followers: set[Follower] = set()
        self._awaiting = 0
        self._whole = ""
        self._tail: list[str] = []
        self._last = ""
        self._last_start = 0
        self._ended: asyncio.Future[None] | None = None
        self._held: list[str] | None = None
        self._thoughts: list[str] = []
        self._held_thoughts = ""

    def begin(self, user_message_id: str, provider: str | None, model: str | None) -> None:
        """Both messages are stored, and this model is asked."""
        self.provider, self.model = provider, model
        self._announce(Started(self.conversation_id, user_message_id, self.id, provider, model))

    def draw_on(self, sources: Sources) -> None:
        """These passages are what it is given."""
        self._announce(sources)

    def restart(self, reason: str, provider: str, model: str) -> None:
        """Another model answers. What the one before has thought stays, and an empty line follows."""
        self.provider, self.model = provider, model
        if self.reasoned or self._held_thoughts:
            self.think("\n\n")
        self._announce(Restart(reason, provider, model))

    def _announce(self, event: Preamble) -> None:
        self.preamble.append(event)
        self._wake()

    @property
    def sources(self) -> tuple[Source, ...] | None:
        """What it draws on, once that was announced; it is before the text."""
        return next((event.items for event in self.preamble if isinstance(event, Sources)), None)

    def append(self, text: str) -> None:
        size = len(text)
        self.written += size
        if self._held is not None:
            self._held.append(text)
            return
        self._last = text
        self._last_start = self.length
        self._tail.append(text)
        self.length += size
        for follower in self.followers:  # not by `_wake`: this is done for every token
            if follower.write is not None:
                follower.write()

    def text(self, start: int = 0) -> str:
        """What has been written from offset `start` on."""
        if start == self._last_start:
            return self._last
        if self._tail:
            self._whole += "".join(self._tail)
            self._tail.clear()
        return self._whole[start:] if start else self._whole

    def think(self, text: str) -> None:
        """Add reasoning, which is no part of the text."""
        text = text[: MAX_REASONING_CHARACTERS - self.reasoned - len(self._held_thoughts)]
        if self._held is not None:
            self._held_thoughts += text
        elif text:
            self._thoughts.append(text)
            self.reasoned += len(text)
            self._wake()

    def reasoning(self, start: int = 0) -> str:
        """What has been thought from offset `start` on."""
        if len(self._thoughts) > 1:
            if start and start == self.reasoned - len(self._thoughts[-1]):
                return self._thoughts[-1]  # a reader who is up to date
            self._thoughts = ["".join(self._thoughts)]
        whole = self._thoughts[0] if self._thoughts else ""
        return whole[start:] if start else whole

    def whole(self) -> tuple[str, str]:
        """All text and all reasoning, with what is held back."""
        return self.text() + "".join(self._held or ()), self.reasoning() + self._held_thoughts

    @property
    def held(self) -> bool:
        return self._held is not None

    def hold(self) -> None:
        """From now on text and reasoning are held back: neither readers nor the journal see that there is any."""
        self._held = []

    def release(self) -> None:
        """Show what was held back, and what follows."""
        text, reasoning = self.discard()
        if reasoning:
            self.think(reasoning)
        self.append(text)  # even if there is none: readers must learn of tool calls too

    def discard(self) -> tuple[str, str]:
        """Hold nothing back any longer. Returns the text and the reasoning that were held; nobody will see them."""
        held = "".join(self._held or ()), self._held_thoughts
        self._held, self._held_thoughts = None, ""
        self.written = self.length
        return held

    def withdraw(self) -> None:
        """Take all text and reasoning back; none follows. Readers learn by the ending that they hold too much."""
        self.withdrawn = True
        self._tail.clear()
        self._thoughts.clear()
        self.reasoned = 0
        self._whole = self._last = ""
        self._last_start = self.length = self.written = 0

    def end(self, ending: Ending) -> None:
        """Nothing follows. Must come after the final state is stored."""
        self.ending = ending
        self._wake()
        self._settle()

    def detach(self) -> None:
        """Nothing more can be learnt of this reply here: its readers must connect again."""
        self.detached = True
        for follower in self.followers:
            follower.send_elsewhere()
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
        """Somebody reads it, or waits for its end."""
        return bool(self.followers) or self._awaiting > 0

    def join(self, follower: Follower) -> None:
        """Tell `follower` of every change from now on."""
        self.followers.add(follower)
        if self.detached:
            follower.send_elsewhere()

    def leave(self, follower: Follower) -> None:
        self.followers.discard(follower)

    def _wake(self) -> None:
        for follower in self.followers:
            follower.wake()


class Follower:
    """One reader's place in a reply: how much of the beginning, the reasoning and the text it has been sent."""

    __slots__ = (
        "_abort",
        "_loop",
        "_sending",
        "_sent_at",
        "announced",
        "beat",
        "cut",
        "offset",
        "reasoned",
        "reconnect",
        "reply",
        "write",
    )

    def __init__(self, reply: Reply, *, announced: int, offset: int, reasoned: int = 0) -> None:
        self.reply = reply
        self.announced = announced
        """How many of the events before the text it holds."""
        self.offset = offset
        """How many code points of the text it holds."""
        self.reasoned = reasoned
        """How many code points of the reasoning it holds."""
        self.beat = False
        """It has been silent for so long that a comment is due."""
        self.cut = False
        """Nothing more can be sent to it."""
        self.reconnect = False
        """It must connect again, here or elsewhere, once it has what there is."""
        self._abort: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()
        """When it was last handed something, or came."""
        self._sending = False
        """Something waits for its connection to take more."""
        self.write: Callable[[], None] | None = None
        """Writes what it has not been sent, and is called with every change; it must not raise."""

    def take_announced(self) -> Sequence[tuple[int, Preamble]]:
        """The events before the text that it has not been sent, each with its number, from 1; they count as sent."""
        first, preamble = self.announced, self.reply.preamble
        self.announced = len(preamble)
        return list(enumerate(preamble[first:], first + 1))

    def take_text(self, most: int) -> int:
        """Where the next text for it ends, which begins at `offset` and has at most `most` code points; it counts as
        sent."""
        self.offset = end = min(self.reply.length, self.offset + most)
        return end

    def take_reasoning(self, most: int) -> str:
        """The next reasoning for it, at most `most` code points; it counts as sent."""
        text = self.reply.reasoning(self.reasoned)[:most]
        self.reasoned += len(text)
        return text

    def connect(self, write: Callable[[], None] | None, abort: Callable[[], None] | None) -> None:
        """`write` writes what it has not been sent. `abort` closes its connection at once, whatever is still buffered
        for it."""
        self.write, self._abort = write, abort

    def wait(self) -> None:
        """There is something for it, which its connection does not take yet."""
        if not self._sending:
            self._sending = True
            self._sent_at = self._loop.time()

    def sent(self) -> None:
        """The connection has taken something."""
        self.beat = self._sending = False
        self._sent_at = self._loop.time()

    def wake(self) -> None:
        """There is something for it."""
        if self.write is not None:
            self.write()

    def send_elsewhere(self) -> None:
        """Ask it to connect again."""
        self.reconnect = True
        self.wake()

    def drop(self) -> None:
        """Send nothing more: the reader is gone or takes nothing."""
        if self.cut:
            return
        self.cut = True
        self.wake()
        if self._sending and self._abort is not None:
            self._abort()

    def watch(self, now: float) -> None:
        """Cut it if its connection has taken nothing for too long; have it sent a comment if it was sent nothing."""
        silence = now - self._sent_at
        if self._sending:
            if silence > STALL_SECONDS:
                self.drop()
        elif silence > HEARTBEAT_SECONDS:
            self.beat = True
            self.wake()


class Followers:
    """All readers of this process, whatever they read."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self._of_users: Counter[str] = Counter()
        self.draining = False

    def __len__(self) -> int:
        return len(self._followers)

    def check_capacity(self) -> None:
        """Raises `Draining` when nobody who comes now could read here."""
        if self.draining:
            raise Draining(retry_after=1)
        if len(self._followers) >= MAX_FOLLOWERS:
            raise Draining("This server has as many readers as it can; send the request again.", retry_after=1)

    def check_room(self, user_id: str) -> None:
        """Raises `RateLimited` when this user has as many readers as one may have."""
        if self._of_users[user_id] >= MAX_FOLLOWERS_PER_USER:
            raise RateLimited(f"A user has at most {MAX_FOLLOWERS_PER_USER} readers at once.", retry_after=5)

    def follow(self, reply: Reply, *, announced: int = 0, offset: int = 0, reasoned: int = 0) -> Follower:
        """A new follower at that place. Raises `RateLimited` when the reply or its user has too many, and `Draining`
        when the process has."""
        if len(reply.followers) >= MAX_FOLLOWERS_PER_REPLY:
            raise RateLimited(f"A reply has at most {MAX_FOLLOWERS_PER_REPLY} readers at once.", retry_after=5)
        self.check_room(reply.user_id)
        if len(self._followers) >= MAX_FOLLOWERS:
            raise Draining("This server has as many readers as it can; connect again.", retry_after=1)
        follower = Follower(reply, announced=announced, offset=offset, reasoned=reasoned)
        if self.draining:
            follower.send_elsewhere()
        reply.join(follower)
        self._followers.add(follower)
        self._of_users[reply.user_id] += 1
        return follower

    def unfollow(self, follower: Follower) -> None:
        reply = follower.reply
        reply.leave(follower)
        self._followers.discard(follower)
        self._of_users[reply.user_id] -= 1
        if not self._of_users[reply.user_id]:
            del self._of_users[reply.user_id]

    def drain(self) -> None:
        """Send every reader elsewhere, those who come from now on, too."""
        self.draining = True
        for follower in self._followers:
            follower.send_elsewhere()

    async def watch(self) -> None:
        """Keep silent connections alive and cut stalled ones, for as long as the process runs."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = asyncio.get_running_loop().time()
            for follower in tuple(self._followers):
                follower.watch(now)
