"""Turns: begun, found again, stopped, and drained when the process ends. A `ReplyWriter` writes each reply."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from app import watch
from app.chat.asked import Asked
from app.chat.endings import Cut
from app.chat.live import Followers, Reply
from app.chat.offering import Offering
from app.chat.prompt import PASSAGE_TOKENS
from app.chat.reply_writer import ReplyWriter
from app.chat.sources import Retriever
from app.chat.writer import Tools
from app.errors import AppError, Draining, NotFound
from app.routing.offers import Offers
from app.store.messages import ChatTurn, Messages
from app.store.rows import StoredMessage
from app.values import Quota, Send, User

MAX_REPLIES = 2000
"""Replies written at once by a process; further turns are refused with `draining`, another replica may take them."""
STOP_SECONDS = 5.0
"""How long `stop` waits for the end of a reply of this process to be stored: longer only while the database fails."""
STORE_SECONDS = 1.5
"""How long the last final states may take when the process ends; what is late, another replica recovers."""


class Turn(msgspec.Struct, frozen=True):
    """A begun turn. `reply` is None when an earlier request began it: then its reply may be anywhere, or over."""

    user_message: StoredMessage
    message: StoredMessage
    reply: Reply | None
    quotas: Mapping[str, Quota] = {}
    """What is left of the user's limits."""
    title: str | None = None
    """That of the conversation, in a turn of a chat."""
    busy: bool = False
    """Nothing was begun: `message` has to be stopped first, in a turn of a chat."""


class Turns:
    """The turns of this process."""

    def __init__(
        self,
        messages: Messages,
        offers: Offers,
        offering: Offering,
        retriever: Retriever,
        followers: Followers,
        tools: Tools,
    ) -> None:
        self._messages = messages
        self._offers = offers
        self._retriever = retriever
        self._followers = followers
        self._tools = tools
        self._offering = offering
        self._process = str(uuid.uuid4())
        """Who this process is to the database."""
        self._writers: dict[str, ReplyWriter] = {}
        self._beginning = 0
        """Turns that the database is beginning: `begin_turn` is under way."""
        self._closed = False

    def __len__(self) -> int:
        """How many replies are being written."""
        return len(self._writers)

    async def begin(self, user: User, asked: Asked) -> Turn:
        """Store what is asked and begin to answer it.

        Raises `Draining` when this process takes no further turn, what the router raises, and what the database
        function `begin_turn` raises.
        """
        self._check_capacity()
        watched = watch.watcher().reply("turn")
        self._beginning += 1
        question = asked.what.content if isinstance(asked.what, Send | ChatTurn) else None
        early = self._retriever.start_early(user, question, asked.use_rag)
        search = None
        try:
            try:
                candidates = await self._offers.candidates(asked.preference)
            except AppError:
                # nobody can answer, but what was begun before can still be read
                if (replayed := await self._replayed(user, asked)) is None:
                    raise
                watched.replayed()
                return replayed
            passage_tokens = PASSAGE_TOKENS if self._retriever.wanted(asked.use_rag) else 0
            begun = await self._messages.begin_turn(
                user.token,
                asked.what,
                writer=self._process,
                reply_id=str(uuid.uuid4()),
                key=asked.key,
                max_tokens=asked.preference.max_tokens,
                offer=self._offering.of(asked.preference, candidates, passage_tokens),
            )
            if begun.replayed:
                watched.replayed()
                return Turn(begun.user_message, begun.message, None, title=begun.title, busy=begun.busy)
            watched.begun(begun.message.conversation_id, begun.message.id)
            if begun.model is not None and asked.preference.provider is None and asked.preference.model is None:
                with suppress(AppError):  # a model that has gone since is no reason not to answer
                    candidates = await self._offers.candidates(
                        msgspec.structs.replace(asked.preference, model=begun.model)
                    )
            candidates = self._offering.allowed(begun.models, candidates)
            search = self._retriever.settle(
                user, begun.user_message.content, asked.use_rag, early, searchable=begun.searchable
            )
        except BaseException as error:
            watched.refused(error)
            raise
        finally:
            self._beginning -= 1
            if search is None and early is not None:
                self._retriever.abandon(user, early)
        writer = ReplyWriter(self._tools, self._offering, user.id, asked, begun, candidates, search, watched)
        reply = writer.reply
        self._writers[reply.id] = writer
        if self._closed:  # begun too late for an answer
            writer.cut(Cut.SHUTDOWN)
        writer.start(over=lambda: self._writers.pop(reply.id))
        return Turn(begun.user_message, begun.message, reply, begun.quotas, begun.title)

    def _check_capacity(self) -> None:
        # begin no turn whose sender could not read the reply here
        self._followers.check_capacity()
        if len(self._writers) + self._beginning >= MAX_REPLIES:
            raise Draining("This server writes as many replies as it can; send the request again.", retry_after=1)

    async def _replayed(self, user: User, asked: Asked) -> Turn | None:
        """The turn that an earlier request with this key began."""
        if asked.key is None:
            return None
        begun = await self._messages.replay_turn(user.token, asked.key)
        return Turn(begun.user_message, begun.message, None) if begun is not None else None

    def find(self, message_id: str) -> Reply | None:
        """The reply, while this process writes it."""
        writer = self._writers.get(message_id)
        return writer.reply if writer is not None else None

    async def stop(self, user: User, message_id: str) -> StoredMessage:
        """Stop a reply, whichever replica writes it. Returns it as it is now: one that another replica writes may
        still be `streaming` for up to a journal interval. Raises `SupabaseUnavailable` while the database fails; the
        reply is stopped all the same."""
        writer = self._writers.get(message_id)
        if writer is None:
            return await self._messages.stop_reply(user.token, message_id)
        if writer.reply.user_id != user.id:
            raise NotFound("No such reply.")
        writer.cut(Cut.STOPPED)
        with suppress(TimeoutError):
            await asyncio.wait_for(writer.reply.ended(), STOP_SECONDS)
        return await self._messages.get(user.token, message_id)

    def deleted_replies(self, message_ids: Iterable[str]) -> None:
        """End these replies, which are gone. Other replicas learn of it by their journals."""
        for message_id in message_ids:
            if (writer := self._writers.get(message_id)) is not None:
                writer.cut(Cut.DELETED)

    def deleted(self, conversation_id: str) -> None:
        """End the replies of a conversation that is gone, with the calls that were made for them. Other replicas learn
        of it by their journals."""
        for writer in tuple(self._writers.values()):
            if writer.reply.conversation_id == conversation_id:
                writer.cut(Cut.DELETED)

    async def drain(self, grace: float) -> None:
        """Let the replies finish for `grace` seconds, then end the rest as interrupted, with all their text. That
        includes turns that are being begun: their requests came before the order to end."""
        if self._closed:
            return
        await self._idle(grace)
        self._closed = True
        for writer in tuple(self._writers.values()):
            writer.cut(Cut.SHUTDOWN)
        await self._idle(STORE_SECONDS)
        for writer in self._writers.values():
            writer.reply.detach()  # its end will not be known here; those who wait must not wait longer

    async def _idle(self, patience: float) -> None:
        """Wait until nothing is being begun or written, for at most `patience` seconds."""
        deadline = asyncio.get_running_loop().time() + patience
        # looks rather than waits, as it happens once in a process's life: an event would be set on every turn
        while (self._writers or self._beginning) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
