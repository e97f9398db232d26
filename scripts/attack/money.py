"""Attacks on money: replies that nobody is charged for, budgets and minutes that are passed."""

from __future__ import annotations

import asyncio
import uuid

import aiohttp

from scripts.attack.bounds import Attack, Bound, counted
from scripts.attack.provider import PRICED, UNPRICED
from scripts.attack.target import Target, script, until

BEFORE_DELETING_SECONDS = 0.05
"""Long enough for the provider to be called."""
LONG_PROMPT = 90_000
MINUTE_TOKENS, REPLY_TOKENS = 100_000, 3_000
BUDGET = {"monthly_budget_micro_usd": 1}
WITHOUT_LIMITS = {"requests_per_minute": 1_000_000, "tokens_per_minute": 1_000_000_000}


async def begun(session: aiohttp.ClientSession, conversation: str, content: str, **body: object) -> int:
    """Send a message without reading its reply; the status of the answer."""
    path = f"/v1/conversations/{conversation}/messages"
    async with session.post(path, json={"content": content, **body}) as answer:
        await answer.read()
        return answer.status


async def new_conversation(session: aiohttp.ClientSession) -> str:
    async with session.post("/v1/conversations", json={}) as answer:
        answer.raise_for_status()
        return str((await answer.json())["id"])


async def deletion(target: Target, size: float) -> list[Bound]:
    user, id = await target.user(limits=WITHOUT_LIMITS), uuid.uuid4().hex
    content = script(id, first=60, padding="x" * LONG_PROMPT)
    async with target.session(user) as session:

        async def again() -> None:
            for _ in until(10 * size):
                conversation = await new_conversation(session)
                await begun(session, conversation, content)
                await asyncio.sleep(BEFORE_DELETING_SECONDS)
                async with session.delete(f"/v1/conversations/{conversation}"):
                    pass

        await asyncio.gather(*(again() for _ in range(4)))
    await target.settled(user)
    sent, charged = await target.sent(id), target.charged(user)
    tokens = sum(call["prompt_tokens"] for call in sent)
    return [
        Bound(
            f"{len(sent):,} calls of the provider with {tokens:,} prompt tokens; "
            f"charged {charged['replies']:,} with {charged['prompt']:,}",
            "the same",
            bool(sent) and (len(sent), tokens) == (charged["replies"], charged["prompt"]),
        )
    ]


async def unpriced(target: Target, size: float) -> list[Bound]:
    user, id = await target.user(limits=BUDGET), uuid.uuid4().hex
    async with target.session(user) as session:
        conversation = await new_conversation(session)
        sends = [begun(session, conversation, script(id), model=UNPRICED) for _ in range(int(61 * size))]
        statuses = await asyncio.gather(*sends)
    await target.settled(user)
    calls = len(await target.sent(id))
    return [
        Bound(
            f"{calls} calls of the provider ({counted(statuses)})",
            "none, 422 for all",
            calls == 0 and set(statuses) == {422},
        )
    ]


async def budget(target: Target, size: float) -> list[Bound]:
    user, id = await target.user(limits=BUDGET), uuid.uuid4().hex
    async with target.session(user) as session:
        conversation = await new_conversation(session)
        content = script(id, tokens=200, first=1)
        sends = [begun(session, conversation, content, model=PRICED) for _ in range(int(60 * size))]
        statuses = await asyncio.gather(*sends)
        await target.settled(user)
        statuses.append(await begun(session, conversation, content, model=PRICED))
    calls, cost = len(await target.sent(id)), target.charged(user)["cost"]
    return [
        Bound(
            f"{calls} call of the provider ({counted(statuses)}), {cost:,} micro-dollars",
            "one, 402 for the others",
            calls == 1 and cost > 0 and set(statuses) == {202, 402},
        )
    ]


async def minute(target: Target, size: float) -> list[Bound]:
    user, id = await target.user(), uuid.uuid4().hex
    content = script(id, tokens=REPLY_TOKENS)
    async with target.session(user) as session:
        conversation = await new_conversation(session)
        statuses = await asyncio.gather(*(begun(session, conversation, content) for _ in range(int(60 * size))))
    await target.settled(user)
    sent, charged = await target.sent(id), target.charged(user)["tokens"]
    took = sum(call["prompt_tokens"] + call["completion_tokens"] for call in sent)
    most = MINUTE_TOKENS + REPLY_TOKENS
    return [
        Bound(
            f"{took:,} tokens ({counted(statuses)})",
            f"at most {most:,}: the limit and one reply",
            0 < took <= most and set(statuses) <= {202, 429},
        ),
        Bound(f"{charged:,} charged", "the same", charged == took),
    ]


ATTACKS = [
    Attack(
        "deletion",
        "For 10 s, a user without limits deletes conversations before the first token of a reply to 22,500 tokens",
        deletion,
    ),
    Attack("unpriced", "61 sends name a model without a price, under a budget of 1 micro-dollar", unpriced),
    Attack("budget", "60 sends at once to a model with a price, under a budget of 1 micro-dollar", budget),
    Attack("minute", "60 sends at once with replies of 3,000 tokens, of 100,000 a minute", minute),
]
