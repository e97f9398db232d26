"""Whose key a request carries: what is remembered, for how long, and how much the database is asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from app.api import key_owners
from app.api.key_owners import CHECKS_AT_ONCE, KEY_SECONDS, KeyOwners
from app.errors import RateLimited, SupabaseUnavailable, Unauthenticated
from app.personal_keys import hash_of, make_key
from app.store.keys import CheckedKey
from app.values import User

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Store:
    """The database's answers; with `hold`, they come when the test says so."""

    def __init__(self) -> None:
        self.valid: dict[str, CheckedKey] = {}
        self.asked: list[str] = []
        self.running = self.most_running = 0
        self.hold: asyncio.Event | None = None
        self.fails = False

    async def check(self, key_hash: str) -> CheckedKey | None:
        self.asked.append(key_hash)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            if self.hold is not None:
                await self.hold.wait()
            if self.fails:
                raise SupabaseUnavailable(retry_after=2)
            return self.valid.get(key_hash)
        finally:
            self.running -= 1

    def add(self, user: str = "user", expires_at: float | None = None) -> str:
        key = make_key()
        self.valid[key.hash] = CheckedKey(f"key of {user}", user, expires_at)
        return key.text


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def owners(store: Store, clock: Clock) -> KeyOwners:
    return KeyOwners(store, clock)


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not there():  # noqa: ASYNC110 - a turn of the loop each
            await asyncio.sleep(0)


async def test_a_key_in_use_is_asked_for_once_in_ten_seconds(store: Store, owners: KeyOwners, clock: Clock) -> None:
    key = store.add()
    for _ in range(3):
        assert await owners.find(key, HERE) == User("user", token="", expires_at=math.inf)
    assert len(store.asked) == 1
    clock.now += KEY_SECONDS - 0.1
    await owners.find(key, HERE)
    assert len(store.asked) == 1
    clock.now += 0.1
    await owners.find(key, HERE)
    assert len(store.asked) == 2


async def test_revoked_elsewhere_it_works_for_ten_seconds_at_most(
    store: Store, owners: KeyOwners, clock: Clock
) -> None:
    key = store.add()
    await owners.find(key, HERE)
    store.valid.clear()
    clock.now += KEY_SECONDS
    with pytest.raises(Unauthenticated, match="revoked or has expired"):
        await owners.find(key, HERE)


async def test_ten_seconds_are_counted_from_the_question_not_from_the_answer(
    store: Store, owners: KeyOwners, clock: Clock
) -> None:
    key, store.hold = store.add(), asyncio.Event()
    finding = asyncio.create_task(owners.find(key, HERE))
    await until(lambda: store.running == 1)
    clock.now += 4
    store.hold.set()
    await finding
    clock.now += KEY_SECONDS - 4
    await owners.find(key, HERE)
    assert len(store.asked) == 2


async def test_revoked_here_it_is_forgotten_at_once(store: Store, owners: KeyOwners) -> None:
    kept, gone = store.add("kept"), store.add("gone")
    for key in (kept, gone):
        await owners.find(key, HERE)
    store.valid.clear()
    owners.forget("key of gone")
    with pytest.raises(Unauthenticated):
        await owners.find(gone, HERE)
    assert (await owners.find(kept, HERE)).id == "kept"


async def test_revoked_here_while_it_is_asked_for_it_is_not_remembered(store: Store, owners: KeyOwners) -> None:
    key, store.hold = store.add(), asyncio.Event()
    finding = asyncio.create_task(owners.find(key, HERE))
    await until(lambda: store.running == 1)
    owners.forget("key of user")
    store.hold.set()
    await finding
    store.valid.clear()
    with pytest.raises(Unauthenticated):
        await owners.find(key, HERE)


async def test_an_expired_key_ends_at_its_time(store: Store, owners: KeyOwners, clock: Clock) -> None:
    key = store.add(expires_at=clock.now + 2)
    await owners.find(key, HERE)
    store.valid.clear()
    clock.now += 2
    with pytest.raises(Unauthenticated):
        await owners.find(key, HERE)


async def test_what_is_no_whole_key_is_not_asked_for(store: Store, owners: KeyOwners) -> None:
    for wrong in (store.add()[:-1], "parley_", make_key().text[:-6] + "000000"):
        with pytest.raises(Unauthenticated, match="cut off or mistyped"):
            await owners.find(wrong, HERE)
    assert store.asked == []


async def test_a_hundred_requests_at_once_ask_once(store: Store, owners: KeyOwners) -> None:
    key = store.add()
    found = await asyncio.gather(*(owners.find(key, HERE) for _ in range(100)))
    assert len(store.asked) == 1
    assert {owner.id for owner in found} == {"user"}


async def test_one_who_goes_away_does_not_take_the_answer_from_the_others(store: Store, owners: KeyOwners) -> None:
    key, store.hold = store.add(), asyncio.Event()
    first, second = (asyncio.create_task(owners.find(key, HERE)) for _ in range(2))
    await until(lambda: store.running == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    store.hold.set()
    assert (await second).id == "user"


async def test_an_outage_is_told_and_not_remembered(store: Store, owners: KeyOwners) -> None:
    key, store.fails = store.add(), True
    with pytest.raises(SupabaseUnavailable):
        await owners.find(key, HERE)
    store.fails = False
    assert (await owners.find(key, HERE)).id == "user"


async def test_wrong_keys_of_one_address_do_not_keep_another_one_waiting(store: Store, owners: KeyOwners) -> None:
    store.hold = asyncio.Event()
    trying = [asyncio.create_task(owners.find(make_key().text, HERE)) for _ in range(200)]
    await until(lambda: sum(task.done() for task in trying) == 200 - CHECKS_AT_ONCE - key_owners.CHECKS_WAITING)
    key = store.add()
    valid = asyncio.create_task(owners.find(key, THERE))
    await asyncio.sleep(0)
    store.hold.set()
    assert (await valid).id == "user"
    # among the next in turn, before the hundred that wait
    assert store.asked.index(hash_of(key)) < 2 * CHECKS_AT_ONCE
    ends = await asyncio.gather(*trying, return_exceptions=True)
    assert {type(end) for end in ends} == {RateLimited, Unauthenticated}
    assert store.most_running == CHECKS_AT_ONCE


async def test_wrong_keys_take_no_memory_and_valid_ones_a_bounded_one(
    store: Store, owners: KeyOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_owners, "REMEMBERED_KEYS", 3)
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await owners.find(make_key().text, HERE)
    assert len(owners._remembered) == 0
    keys = [store.add(str(number)) for number in range(5)]
    for key in keys:
        await owners.find(key, HERE)
    assert len(owners._remembered) == 3
    assert len(owners._checks) == 0
    before = len(store.asked)
    await owners.find(keys[-1], HERE)
    await owners.find(keys[0], HERE)
    assert len(store.asked) == before + 1
