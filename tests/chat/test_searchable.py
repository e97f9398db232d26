"""What is indexed later, in virtual time: at once while there is more, otherwise every few seconds."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.chat.searchable import LOOK_SECONDS, PAUSE_SECONDS, make_searchable
from app.errors import SupabaseUnavailable
from tests.support.scripted_database import in_virtual_time
from tests.support.scripted_providers import clock


class Store:
    """Answers in turn: whether there is more, or that the database is out; then that there is no more."""

    def __init__(self, *answers: bool | None) -> None:
        self._began = clock()
        self._answers = list(answers)
        self.asked: list[float] = []

    async def index_waiting_texts(self) -> bool:
        self.asked.append(round(clock() - self._began, 3))
        answer = self._answers.pop(0) if self._answers else False
        if answer is None:
            raise SupabaseUnavailable
        return answer


async def asked_within(store: Store, seconds: float) -> list[float]:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await make_searchable(store)
    return store.asked


@in_virtual_time
async def test_while_there_is_more_it_hardly_waits() -> None:
    times = await asked_within(Store(True, True), 2 * LOOK_SECONDS)
    second = 2 * PAUSE_SECONDS
    assert times == [0, PAUSE_SECONDS, second, second + LOOK_SECONDS]


@in_virtual_time
async def test_an_outage_does_not_end_it() -> None:
    assert await asked_within(Store(None, True), 2 * LOOK_SECONDS) == [0, LOOK_SECONDS, LOOK_SECONDS + PAUSE_SECONDS]
