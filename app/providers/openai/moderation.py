"""OpenAI's moderation: whether a text is flagged, and for which categories."""

from __future__ import annotations

import msgspec
from openai import AsyncOpenAI

from app.providers.base import Verdict
from app.providers.openai.client import call

MODEL = "omni-moderation-latest"


class OpenAIModerator:
    """The moderation endpoint, which OpenAI does not bill."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def check(self, text: str) -> Verdict:
        """See `Moderator.check`. A text is flagged when any of its results is."""
        body = {"model": MODEL, "input": text}
        answer = await call(self._client, "post", "/moderations", body, _Answer, model=MODEL)
        categories = {name for result in answer.results for name, found in result.categories.items() if found}
        return Verdict(any(result.flagged for result in answer.results), tuple(sorted(categories)))

    async def aclose(self) -> None:
        """See `Moderator.aclose`."""
        await self._client.close()


class _Result(msgspec.Struct):
    flagged: bool
    # null where a category does not apply to the kind of input
    categories: dict[str, bool | None] = msgspec.field(default_factory=dict)


class _Answer(msgspec.Struct):
    results: list[_Result]
