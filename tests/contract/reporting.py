"""A reply as it was reported, and how a server sends it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.values import FinishReason, ProviderName, Usage
from tests.support.raw_upstream import Exchange

TEXT = "It is 6 o'clock, and $0.005 is the price."
WORDS = ("It is ", "6 o'clock,", " and $0.005", " is the price.")

Answer = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True)
class Reported:
    """A reply as it was reported. Its text is `text`, and its usage `usage` where that is said there."""

    adapter: ProviderName
    answers: Answer | tuple[Answer, ...]
    """To the one request, or to the first, to the second, and so on; the last one also to all that follow."""
    text: str = TEXT
    reason: FinishReason = "stop"
    usage: Usage | None = None
    learnt: bool = False
    """Whether what the model refuses is not sent to it again."""

    def __call__(self) -> Answer:
        """The server's part, from its beginning."""
        answers = self.answers if isinstance(self.answers, tuple) else (self.answers,)
        left = iter(answers)

        async def answer(exchange: Exchange) -> None:
            await next(left, answers[-1])(exchange)

        return answer


def sent(*chunks: bytes) -> Answer:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(*chunks)

    return answer


def replied(body: bytes, **headers: str) -> Answer:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def refused(status: int, body: object) -> Answer:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(status, json.dumps(body).encode())

    return answer


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


COUNTED = Usage(11, 13)
DONE = b"data: [DONE]\n\n"
