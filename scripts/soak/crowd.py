"""The crowd: members who do all that users do, at their own pace, and others who listen, for what is not theirs."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import WebSocketException

from scripts.soak import belongings, chatting
from scripts.soak.deployment import Deployment
from scripts.soak.member import GaveUp, Member
from tests.support.device import Device
from tests.support.replica_client import Client
from tests.support.sockets import connected

Act = Callable[[Member], Awaitable[None]]
ACTS: dict[Act, int] = {
    chatting.send: 20,
    chatting.send_and_wait: 5,
    chatting.send_and_leave: 8,
    chatting.edit: 5,
    chatting.regenerate: 6,
    chatting.stop: 6,
    chatting.chat: 10,
    belongings.completion: 12,
    belongings.document: 6,
    belongings.find: 5,
    belongings.export: 2,
    belongings.import_file: 2,
    belongings.look: 5,
    belongings.delete_conversation: 4,
}
"""What members do, and how often of about a hundred times."""
TABS = 2
"""How many things a member does at the same time."""
LONGEST_THOUGHT = 0.6
REQUEST_SECONDS = 600.0
"""A client waits longer than a provider may be silent, with all retries, on a machine that is busy."""


@dataclass
class Crowd:
    on: Deployment
    members: list[Member] = field(default_factory=list)
    listeners: list[Member] = field(default_factory=list)
    devices: list[tuple[Member, Device]] = field(default_factory=list)
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What everybody heard on `user:{id}`, with whose topic it was."""
    done: dict[str, int] = field(default_factory=dict)
    _over: bool = False

    async def use(self) -> None:
        """Everybody does everything, until `leave`."""
        tabs = [self._tab(member) for member in self.members for _ in range(TABS)]
        await asyncio.gather(*tabs, *(self._pry(listener) for listener in self.listeners))

    def leave(self) -> None:
        """Nobody begins anything more."""
        self._over = True

    async def _tab(self, member: Member) -> None:
        acts, weights = list(ACTS), list(ACTS.values())
        while not self._over:
            [act] = member.chance.choices(acts, weights)
            await self._do(member, act.__name__, act(member))
            await asyncio.sleep(member.chance.uniform(0, LONGEST_THOUGHT))

    async def _pry(self, listener: Member) -> None:
        """Live as a member does, and ask for what is others' in between."""
        while not self._over:
            replies = [
                reply for asked in self.on.book.asked[-200:] if asked.owner != listener.id for reply in asked.replies
            ]
            theirs = [id for member in self.members for id in member.conversations]
            await self._do(listener, "pry", belongings.pry(listener, replies, theirs))
            owner = listener.chance.choice(self.members)
            await self._do(listener, "join", self._join(listener, owner))
            await self._do(listener, "send", chatting.send(listener))
            await asyncio.sleep(0.5)

    async def _do(self, member: Member, name: str, act: Awaitable[None]) -> None:
        began = member.book.now
        self.done[name] = self.done.get(name, 0) + 1
        try:
            await act
        except GaveUp as error:
            if not member.book.excused(str(error), began, member.book.now) and str(error) != "provider_unavailable":
                member.book.violated(f"{name} was given up: {error}")
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            member.book.violated(f"{name}: {type(error).__name__} {str(error)[:400]} ({where.name}:{where.lineno})")

    async def _join(self, listener: Member, owner: Member) -> None:
        """Join somebody else's topics: refused."""
        stack = self.on.stack
        with suppress(OSError, WebSocketException):
            async with connected(stack.url, stack.publishable_key) as socket:
                for topic in (f"conversation:{owner.conversations[0]}", f"user:{owner.id}"):
                    answer = await socket.join(topic, private=True, token=listener.client.person.token)
                    if answer["status"] == "ok":
                        self.on.book.violated(f"{listener.id} has joined {topic}")

    async def hear(self, member: Member) -> None:
        """Listen on the user's own topic, for as long as it takes."""
        stack = self.on.stack
        while True:
            with suppress(OSError, WebSocketException):
                async with connected(stack.url, stack.publishable_key) as socket:
                    await socket.join(f"user:{member.id}", private=True, token=member.client.person.token)
                    while True:
                        try:
                            self.heard.append((member.id, (await socket.next("broadcast")).payload))
                        except TimeoutError:
                            await socket.reply(await socket.push("phoenix", "heartbeat", {}))
            await asyncio.sleep(0.1)


@asynccontextmanager
async def crowd(on: Deployment, *, members: int, listeners: int, patience: float, seed: int) -> AsyncGenerator[Crowd]:
    """Signed up, each with a device on Realtime. They do nothing yet."""
    made = Crowd(on)
    async with AsyncExitStack() as owned:
        tasks = []
        for number in range(members + listeners):
            client: Client = await on.cluster.client(REQUEST_SECONDS)
            member = Member(client, on, on.book, random.Random(f"{seed} {number}"), patience)  # noqa: S311
            (made.members if number < members else made.listeners).append(member)
            home = (await member.request("conversation", "POST", "/v1/conversations", {"title": "home"})).body["id"]
            member.conversations.append(home)
            device = Device(on.stack, client, on, home)
            made.devices.append((member, device))
            tasks += [asyncio.create_task(device.run()), asyncio.create_task(made.hear(member))]
        owned.push_async_callback(_ended, tasks)
        yield made


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
