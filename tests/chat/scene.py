"""A process in virtual time: its turns on a scripted database and a scripted provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from app.chat.asked import Asked
from app.chat.journal import Journal
from app.chat.live import Followers, Reply
from app.chat.offering import Offering
from app.chat.turn import Turn, Turns
from app.chat.writer import Tools
from app.guard.moderation import Moderation
from app.providers.base import Moderator
from app.routing.catalog import Catalog
from app.routing.router import Candidate, ModelPreference
from app.settings import Settings
from app.values import Finish, Send, Usage
from tests.support.scripted_database import Database
from tests.support.scripted_providers import ANSWER, Play, Scripted, Stage

LONG: Play = (*("word ", 0.1) * 300, Finish("stop", Usage(3, 300)))
"""Thirty seconds of text."""


@dataclass
class Person:
    id: str = "owner"
    token: str = "owner"


class NoDocuments:
    """A retriever that finds nothing, for turns that search for nothing."""

    def start_early(self, *_: object) -> None: ...
    def wanted(self, _: object) -> bool:
        return False

    def settle(self, *_: object, **__: object) -> None: ...
    def abandon(self, *_: object) -> None: ...


class OneOffer:
    """Offers one model."""

    async def candidates(self, _: ModelPreference) -> tuple[Candidate, ...]:
        return (Candidate("openai", "openai-model"),)


@dataclass
class Scene:
    turns: Turns
    live: Followers
    database: Database
    provider: Scripted

    async def send(self) -> tuple[Turn, Reply]:
        turn = await self.turns.begin(Person(), Asked(what=Send("conversation", "hello")))
        assert turn.reply is not None
        return turn, turn.reply

    async def whole(self) -> Reply:
        """Send, and wait for the end."""
        _, reply = await self.send()
        await reply.ended()
        return reply


@asynccontextmanager
async def scene(
    *plays: Play, otherwise: Play = ANSWER, database: Database | None = None, moderator: Moderator | None = None
) -> AsyncGenerator[Scene]:
    """A process on that database. With a moderator it checks messages and replies, and refuses without a verdict."""
    database = database or Database()
    provider = Scripted("openai", *plays, otherwise=otherwise)
    live, journal = Followers(), Journal(database)
    catalog = Catalog(Settings(supabase_url="", supabase_publishable_key="", supabase_secret_key=""))
    turns = Turns(
        database,  # type: ignore[arg-type]
        OneOffer(),  # type: ignore[arg-type]
        Offering(catalog),
        NoDocuments(),  # type: ignore[arg-type]
        live,
        Tools(Stage(provider).failover, Moderation(moderator, fail="closed", output=True), journal, catalog),
    )
    running = asyncio.create_task(journal.run())
    try:
        yield Scene(turns, live, database, provider)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
