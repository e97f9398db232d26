"""One turn's moderation: the message is checked beside its answer, the reply when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal

from app import observe
from app.chat.live import Reply
from app.errors import AppError, ContentFlagged
from app.guard.moderation import Moderation
from app.store.replies import TurnVerdict


class Screening:
    def __init__(self, moderation: Moderation, reply: Reply) -> None:
        self._moderation = moderation
        self._reply = reply
        self._passed = False
        self._part: Literal["input", "output"] | None = None
        self.refusal: AppError | None = None
        """Why the message, or the reply, was not let pass."""

    @property
    def verdict(self) -> TurnVerdict:
        flagged = self.refusal.categories if isinstance(self.refusal, ContentFlagged) else None
        return TurnVerdict(self._passed, flagged, self._part if flagged is not None else None)

    async def run(self, texts: Sequence[str], streaming: Awaitable[None], refuse: Callable[[], None]) -> None:
        """Await `streaming`, which writes the reply, while `texts` are checked: the message, and instructions if there
        are any. Nothing is shown or stored before the verdict. `refuse` is called when they are refused: it must end
        `streaming`, and the provider's work with it, at once."""
        if not self._moderation.checks_input:
            await streaming
            return
        self._reply.hold()
        verdict = asyncio.create_task(self._screen(texts))
        verdict.add_done_callback(partial(self._judged, refuse))
        try:
            await streaming
            # the callback comes first: by now it has released the text, or cancelled this task
            await asyncio.wait((verdict,))
        finally:
            verdict.cancel()

    async def _screen(self, texts: Sequence[str]) -> None:
        await asyncio.gather(*map(self._moderation.screen, texts))

    def _judged(self, refuse: Callable[[], None], verdict: asyncio.Task[None]) -> None:
        if verdict.cancelled():
            return
        error = verdict.exception()
        if error is None:
            self._passed = True
            self._reply.release()
            return
        self._refused(error, "input")
        refuse()

    async def check_reply(self, texts: Sequence[str]) -> bool:
        """Check all that the model has written, where that is asked for; False when a text is refused and the reply is
        withdrawn from its readers."""
        if not self._moderation.checks_output:
            return True
        try:
            for text in filter(None, texts):
                await self._moderation.screen(text)
        except Exception as error:
            self._refused(error, "output")
            self._reply.withdraw()
            return False
        return True

    def _refused(self, error: BaseException, part: Literal["input", "output"]) -> None:
        if not isinstance(error, AppError):
            observe.unforeseen("moderation.failed", error)
            error = AppError()
        self.refusal, self._part = error, part
