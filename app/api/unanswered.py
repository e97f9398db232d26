"""Unanswered requests: limits them for each user, and refuses further ones before their body is read.

A refusal is sent after a pause, which slows down a client that repeats its requests at once, and spreads refusals over
time: a thousand of them in one turn of the event loop would delay every other request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Middleware, Receive, Scope, Send

from app.errors import RateLimited
from app.values import User

MOST_TURNS, MOST_OTHERS = 500, 100
"""Of one user in this process: POST requests to conversations, messages, chats and completions, which begin and stop
turns; all others. A stream counts until it begins."""
TURN_PATHS = ("/v1/conversations/", "/v1/messages/", "/v1/chat", "/openai/v1/chat/")
PAUSE_SECONDS = 1.0
"""On average, before a refusal."""


def limited() -> Middleware:
    """The middleware that refuses a user's request while too many of theirs are unanswered. It comes after the one that
    sets the user."""
    unanswered: Counter[tuple[str, bool]] = Counter()
    refused = count()

    def middleware(app: ASGIApp) -> ASGIApp:
        async def limit(scope: Scope, receive: Receive, send: Send) -> None:
            user = scope.get("user")
            if scope["type"] != ScopeType.HTTP or not isinstance(user, User):
                await app(scope, receive, send)
                return
            turn = scope["method"] == "POST" and scope["path"].startswith(TURN_PATHS)
            key, most = (user.id, turn), MOST_TURNS if turn else MOST_OTHERS
            if unanswered[key] >= most:
                # spread between half and one and a half of the pause
                await asyncio.sleep(PAUSE_SECONDS * (0.5 + next(refused) % 100 / 100))
                raise RateLimited(f"A user has at most {most} such requests unanswered.", retry_after=PAUSE_SECONDS)
            unanswered[key] += 1
            open_ = True

            def answered() -> None:
                nonlocal open_
                if open_:
                    open_ = False
                    unanswered[key] -= 1
                    if not unanswered[key]:
                        del unanswered[key]

            async def begin(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answered()
                await send(message)

            try:
                await app(scope, receive, begin)
            finally:
                answered()

        return limit

    return middleware
