"""Whatever happens to turns, the calls that providers were made are what the ledger charges: to the token where the
provider said it, by the estimate of what was sent where it did not.

Random histories on real parts: replies that are stopped, deleted with their conversation, broken by their provider,
sent by the dozen or lost with their process. Always the same ones; PARLEY_THOROUGH=1 plays many, new ones each time.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection, one
from tests.support.client import new_conversation, person_client
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Call, Upstream

THOROUGH = os.environ.get("PARLEY_THOROUGH") == "1"
PRICED = "gpt-5-mini"
SAID = 7
"""What the provider says of every prompt, if it gets to its end."""
JOURNALED_SECONDS = 1.5
"""A call that was made so long before its process was killed, the journal knows."""

BEHAVIOURS = st.sampled_from(
    [
        {"tokens": 5},
        {"tokens": 40, "gap": 0.02},
        {"tokens": 5, "first": 0.4},
        {"first": 30},
        {"break_after": 0},
        {"tokens": 9, "break_after": 4},
        {"status": 500},
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), BEHAVIOURS),
        st.tuples(st.just("flood"), st.integers(0, 2), BEHAVIOURS),
        st.tuples(st.just("stop"), st.integers(0, 20)),
        st.tuples(st.just("delete"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.sampled_from([0.05, 0.3, 0.8])),
        st.just(("kill",)),
    ),
    min_size=3,
    max_size=8,
)


@dataclass
class World:
    """A provider, and a process that is started again when it was killed."""

    stack: LocalSupabase
    db: Connection
    upstream: Upstream
    logs: Path
    processes: AsyncExitStack
    api: Api | None = None

    async def process(self) -> Api:
        if self.api is None:
            settings = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": self.upstream.url, "OPENAI_MODEL": PRICED}
            log = self.logs / f"{uuid.uuid4().hex}.log"
            running = running_api(self.stack, log, EMBEDDING_MODEL="local", ENABLE_RAG="false", **settings)
            self.api = await self.processes.enter_async_context(running)
        return self.api


@dataclass
class History:
    """One user's turns."""

    world: World
    person: Person
    places: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    killed_at: list[float] = field(default_factory=list)
    sent_tokens: int = 0
    begun: list[tuple[float, int]] = field(default_factory=list)
    """When each turn was begun, and what it may have sent at most: all that was said by then."""
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx.AsyncClient]:
        async with person_client(await self.world.process(), self.person) as opened:
            yield opened

    async def run(self, steps: list[tuple[Any, ...]]) -> None:
        async with self.client() as client:
            self.places = [await new_conversation(client) for _ in range(3)]
        for action, *arguments in steps:
            await getattr(self, action)(*arguments)
        await self.end()

    async def send(self, place: int, behaviour: dict[str, Any], number: int = 1) -> None:
        # no two prompts are as long as each other, whatever history they have
        body = {"content": json.dumps({"id": self.name, **behaviour, "padding": "x" * len(self.replies) * 40})}
        async with self.client() as client:
            path = f"/v1/conversations/{self.places[place]}/messages"
            answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(number)))
        for answer in answers:
            # a breaker may have opened: then nobody is called
            assert answer.status_code in (202, 503), answer.text
            if answer.status_code == 202:
                self.replies.append(answer.json()["message"]["id"])
                self.sent_tokens += len(body["content"])
                self.begun.append((asyncio.get_running_loop().time(), self.sent_tokens))

    async def flood(self, place: int, behaviour: dict[str, Any]) -> None:
        await self.send(place, behaviour, 8)

    async def stop(self, which: int) -> None:
        if self.replies:
            await asyncio.sleep(0.2)
            async with self.client() as client:
                await client.post(f"/v1/messages/{self.replies[which % len(self.replies)]}/stop")

    async def delete(self, place: int) -> None:
        await asyncio.sleep(0.2)
        async with self.client() as client:
            await client.delete(f"/v1/conversations/{self.places[place]}")
            self.places[place] = await new_conversation(client)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def kill(self) -> None:
        if self.world.api is not None:
            self.world.api.kill()
            self.killed_at.append(asyncio.get_running_loop().time())
            self.world.api = None

    async def end(self) -> None:
        """Stop what is still written, and have what was lost recovered."""
        await asyncio.sleep(0.5)  # requests that are on their way arrive
        async with self.client() as client:
            for reply in self.replies:
                await client.post(f"/v1/messages/{reply}/stop")
        for table, column in (("live_replies", "lease_expires_at"), ("reservations", "expires_at")):
            self.world.db.execute(
                f"update private.{table} set {column} = now() - interval '1 s' where user_id = %s",  # noqa: S608
                [self.person.id],
            )
        self.world.db.execute("select public.recover_replies()")
        held = "select count(*) from private.reservations where user_id = %s"
        await eventually(lambda: one(self.world.db, held, [self.person.id]) == 0, 20)
        await eventually(lambda: all(call.ended_at is not None for call in self.calls()), 20)

    def calls(self) -> list[Call]:
        return self.world.upstream.calls_of(self.name)

    @property
    def uncalled(self) -> int:
        """What turns may be charged with at most whose call the provider has not seen: they were lost with their
        process before the journal knew of them, or cut off while their request was on its way."""
        killed = self.killed_at
        lost = {at for at, _ in self.begun if any(at <= end <= at + JOURNALED_SECONDS for end in killed)}
        unseen = len(self.calls()) < len(self.replies)
        return sum(most for at, most in self.begun if unseen or at in lost)

    def check(self) -> None:
        prompts, completions = (
            one(
                self.world.db,
                f"select coalesce(sum({column}), 0)::int from private.usage_ledger where user_id = %s",  # noqa: S608
                [self.person.id],
            )
            for column in ("prompt_tokens", "completion_tokens")
        )
        possible = {0}
        for call in self.calls():
            possible = {total + tokens for total in possible for tokens in self.prompts(call)}
        if self.killed_at or self.uncalled:
            assert min(possible) <= prompts <= max(possible) + self.uncalled, (prompts, possible)
        else:
            assert prompts in possible, (prompts, possible, self.calls())
        self.check_costs()
        # a token is a byte at least
        assert completions <= sum(len(call.text) for call in self.calls())
        if all(whole(call) for call in self.calls()) and not self.killed_at and not self.uncalled:
            assert completions == sum(call.sent for call in self.calls())

    def check_costs(self) -> None:
        """What replies and conversations tell is what the ledger has."""
        replies = self.world.db.execute(
            "select m.cost_micro_usd, (select sum(l.cost_micro_usd)::bigint from private.usage_ledger as l "
            "where l.reply_id = m.id) from public.messages as m where m.user_id = %s and m.role = 'assistant'",
            [self.person.id],
        )
        for told, charged in replies.fetchall():
            assert told == charged
        conversations = self.world.db.execute(
            "select c.cost_micro_usd, c.tokens, coalesce(sum(m.cost_micro_usd), 0)::bigint, "
            "coalesce(sum(m.tokens_used), 0)::bigint from public.conversations as c "
            "left join public.messages as m on m.conversation_id = c.id where c.user_id = %s group by c.id",
            [self.person.id],
        )
        for cost, tokens, *sums in conversations.fetchall():
            assert [cost, tokens] == sums

    def prompts(self, call: Call) -> set[int]:
        """What the call may be charged with. Only a process that was killed leaves a choice."""
        # neighbours of one role are one message to a provider
        parts = [part for message in call.body["messages"] for part in message["content"].split("\n\n")]
        sent = sum(-(-len(part.encode()) // 4) for part in parts)
        ended = call.ended_at or call.started_at
        lost = [at for at in self.killed_at if call.started_at <= at and ended >= at - JOURNALED_SECONDS]
        if "status" in call.script:
            return {0}
        if lost:
            # it had ended, and that was not stored; or it was the second of its turn, and too new for the journal
            retried = "break_after" in call.script
            return {sent} | ({SAID} if whole(call) else set()) | ({0} if retried else set())
        return {SAID} if whole(call) else {sent}


def whole(call: Call) -> bool:
    """Whether the provider got to say what it took."""
    return not call.cancelled and call.sent == call.script.get("tokens", 5) and "break_after" not in call.script


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def play(world: World, steps: list[tuple[Any, ...]]) -> None:
    history = History(world, await sign_up(world.stack))
    await history.run(steps)
    history.check()


@asynccontextmanager
async def opened(stack: LocalSupabase, db: Connection, logs: Path) -> AsyncGenerator[World]:
    async with Upstream() as upstream, AsyncExitStack() as processes:
        yield World(stack, db, upstream, logs, processes)


@pytest.mark.timeout(3600 if THOROUGH else 300)
def test_calls_are_what_the_ledger_charges(
    stack: LocalSupabase,
    owned: Connection,
    kept_settings: None,
    runner: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return runner.run(coroutine)

    place = opened(stack, owned, tmp_path_factory.mktemp("books"))
    world = run(place.__aenter__())

    @settings(
        max_examples=200 if THOROUGH else 14,
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        # a history cannot be played twice alike, so there is nothing to shrink
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def histories(steps: list[tuple[Any, ...]]) -> None:
        run(play(world, steps))

    try:
        histories()
    finally:
        run(place.__aexit__(None, None, None))
