"""Moderation: asks the moderator about texts, and decides what happens when it does not answer."""

from __future__ import annotations

import asyncio
from typing import Literal

from app import observe
from app.errors import ContentFlagged, ModerationOff, ProviderError, ProviderUnavailable
from app.providers.base import Moderator, Verdict
from app.store.replies import Charge
from app.values import estimate_tokens

CHECK_SECONDS = 5.0
"""How long a verdict may take. A reply's text is not shown before the verdict on the message that it answers."""


class Moderation:
    """The moderation of a process. `fail`: without a verdict, `open` lets the text pass and `closed` refuses it.
    `provider` is the moderator's."""

    def __init__(
        self, moderator: Moderator | None, *, fail: Literal["open", "closed"], output: bool, provider: str = "moderator"
    ) -> None:
        self._moderator = moderator
        self._provider = provider
        self._fail = fail
        self.checks_input = moderator is not None
        self.checks_output = moderator is not None and output

    async def judge(self, text: str) -> Verdict:
        """The verdict on `text`. Raises `ModerationOff`, and `ProviderUnavailable` when there is no verdict."""
        if self._moderator is None:
            raise ModerationOff("Texts are checked only when MODERATION is set to `openai`.", retry_after=60)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self._moderator.check(text)
        except (ProviderError, TimeoutError) as error:
            observe.event("moderation.unavailable", error=type(error).__name__)
            raise ProviderUnavailable("The text could not be checked.", retry_after=5) from error

    def charge(self, text: str) -> Charge:
        """What a verdict on `text` is entered with in its user's ledger: providers do not bill it."""
        return Charge(
            kind="moderation",
            provider=self._provider,
            model="moderation",
            prompt_tokens=estimate_tokens(text),
            cost_micro_usd=0,
        )

    async def screen(self, text: str) -> None:
        """Check `text`. Raises `ContentFlagged` if it is flagged, and `ProviderUnavailable` if there is no verdict and
        `fail` is `closed`."""
        try:
            verdict = await self.judge(text)
        except ProviderUnavailable:
            if self._fail == "closed":
                raise
            return
        if verdict.flagged:
            raise ContentFlagged(categories=verdict.categories)

    async def aclose(self) -> None:
        if self._moderator is not None:
            await self._moderator.aclose()
