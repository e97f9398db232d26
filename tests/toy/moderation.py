"""The toy's moderation."""

from __future__ import annotations

from app.providers.base import Verdict
from tests.toy.client import ToyClient


class ToyModerator:
    def __init__(self, client: ToyClient) -> None:
        self._client = client

    async def check(self, text: str) -> Verdict:
        categories = await self._client.call("/moderate", text, tuple[str, ...])
        return Verdict(bool(categories), categories)

    async def aclose(self) -> None:
        await self._client.aclose()
