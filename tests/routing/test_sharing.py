"""Replicas that share a Redis see one breaker; without it, each goes on alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator

import fakeredis
import pytest
import redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.errors import RequestRefused, ServerError
from app.routing.breaker import OPEN_SECONDS, Breakers
from app.routing.sharing import REFRESH_SECONDS, RedisSharing
from app.routing.window import LEAST_CALLS
from tests.support.scripted_providers import failure


class Time:
    """One time for all replicas; it starts as the real one, which is what pybreaker's storage works with."""

    def __init__(self) -> None:
        self.passed = 0.0

    def clock(self) -> float:
        return 5000.0 + self.passed

    def wall(self) -> float:
        return time.time() + self.passed


class Replica:
    def __init__(self, server: fakeredis.FakeServer, at: Time, client: redis.Redis | None = None) -> None:
        self.sharing = RedisSharing(client or fakeredis.FakeRedis(server=server), clock=at.clock, wall=at.wall)
        self.breakers = Breakers(clock=at.clock, sharing=self.sharing)

    async def fail(self, times: int = LEAST_CALLS) -> None:
        for _ in range(times):
            permit = await self.breakers.admit("openai", "m")
            assert permit is not None
            permit.fail(failure(ServerError))
        await self.sharing.settle()

    async def state(self) -> str:
        """After having heard of the others."""
        self.breakers.health("openai", "m")
        await self.sharing.settle()
        return self.breakers.health("openai", "m").breaker


@pytest.fixture
def at() -> Time:
    return Time()


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
async def pair(server: fakeredis.FakeServer, at: Time) -> AsyncIterator[tuple[Replica, Replica]]:
    one, other = Replica(server, at), Replica(server, at)
    # a replica asks for the models it has used
    for replica in (one, other):
        permit = await replica.breakers.admit("openai", "m")
        assert permit is not None
        permit.release()
    yield one, other
    for replica in (one, other):
        await replica.breakers.aclose()


@pytest.fixture
def events(default_log: None) -> Iterator[list[EventDict]]:
    """What is recorded, of every level."""
    with capture_logs() as events:
        yield events


async def test_what_one_finds_broken_the_other_leaves_alone(pair: tuple[Replica, Replica], at: Time) -> None:
    one, other = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    assert await other.state() == "open"
    wait = other.breakers.health("openai", "m").wait
    # whole seconds are shared, rounded so that nobody is early
    assert OPEN_SECONDS - 1.1 <= wait <= OPEN_SECONDS + 1
    assert await other.breakers.admit("openai", "m") is None


async def test_the_others_are_asked_once_a_second(pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    assert await other.state() == "closed"
    await one.fail()
    assert await other.state() == "closed"


async def test_one_trial_for_all_replicas(pair: tuple[Replica, Replica], at: Time) -> None:
    one, other = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    await other.state()
    at.passed += OPEN_SECONDS + 1
    asked = (replica.breakers.admit("openai", "m") for replica in (one, other) for _ in range(10))
    permits = [permit for permit in await asyncio.gather(*asked) if permit is not None]
    assert len(permits) == 1

    permits[0].succeed()
    await one.sharing.settle()
    await other.sharing.settle()
    at.passed += REFRESH_SECONDS
    assert await one.state() == await other.state() == "closed"


async def test_a_failed_trial_opens_it_for_all(pair: tuple[Replica, Replica], at: Time) -> None:
    one, other = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    await other.state()
    at.passed += OPEN_SECONDS + 1
    await one.fail(1)
    at.passed += REFRESH_SECONDS
    assert await other.state() == "open"


async def test_a_replica_that_comes_too_late_for_the_trial_undoes_nothing(
    pair: tuple[Replica, Replica], at: Time
) -> None:
    one, other = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    await other.state()
    at.passed += OPEN_SECONDS + 1
    trial = await one.breakers.admit("openai", "m")
    assert trial is not None
    trial.succeed()
    await one.sharing.settle()
    # it has not heard yet, so it tries as well
    assert await other.breakers.admit("openai", "m") is None
    await other.sharing.settle()
    at.passed += REFRESH_SECONDS
    assert await one.state() == await other.state() == "closed"


async def test_a_replica_that_waits_for_anothers_trial_waits_quietly(
    pair: tuple[Replica, Replica], at: Time, events: list[EventDict]
) -> None:
    one, other = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    await other.state()
    at.passed += OPEN_SECONDS + 1
    assert await one.breakers.admit("openai", "m") is not None
    assert await other.breakers.admit("openai", "m") is None
    assert events
    events.clear()
    for _ in range(5):
        at.passed += REFRESH_SECONDS
        assert await other.state() == "half-open"
        assert await other.breakers.admit("openai", "m") is None
    assert events == []


async def test_a_trial_that_says_nothing_is_free_for_another_replica(pair: tuple[Replica, Replica], at: Time) -> None:
    one, other = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    await other.state()
    at.passed += OPEN_SECONDS + 1
    permit = await one.breakers.admit("openai", "m")
    assert permit is not None
    assert await other.breakers.admit("openai", "m") is None
    permit.fail(failure(RequestRefused))
    await one.sharing.settle()
    assert await other.breakers.admit("openai", "m") is not None


async def test_a_replica_that_starts_later_learns_of_it(server: fakeredis.FakeServer, at: Time) -> None:
    early = Replica(server, at)
    await early.fail()
    late = Replica(server, at)
    permit = await late.breakers.admit("openai", "m")
    assert permit is not None
    permit.release()
    assert await late.state() == "open"
    await early.breakers.aclose()
    await late.breakers.aclose()


async def test_without_redis_every_replica_goes_on_alone(
    pair: tuple[Replica, Replica], server: fakeredis.FakeServer, at: Time, events: list[EventDict]
) -> None:
    one, other = pair
    server.connected = False
    await one.fail()
    assert await other.state() == "closed"
    assert "breaker.sharing_failed" in [event["event"] for event in events]
    assert await one.state() == "open"
    # the trial is everyone's own
    at.passed += OPEN_SECONDS
    assert await one.breakers.admit("openai", "m") is not None

    # and when it is back, what was found out meanwhile is told
    await one.fail(0)
    server.connected = True
    at.passed += REFRESH_SECONDS
    await one.state()
    at.passed += REFRESH_SECONDS
    assert await other.state() != "closed"


async def test_a_redis_that_goes_away_closes_no_breaker(
    pair: tuple[Replica, Replica], server: fakeredis.FakeServer, at: Time
) -> None:
    one, _ = pair
    await one.fail()
    at.passed += REFRESH_SECONDS
    assert await one.state() == "open"
    server.connected = False
    at.passed += REFRESH_SECONDS
    assert await one.state() == "open"


async def test_a_slow_redis_delays_nobody(server: fakeredis.FakeServer, at: Time) -> None:
    answer = threading.Event()

    class Slow(fakeredis.FakeRedis):
        def ping(self, **kwargs: object) -> bool:
            assert answer.wait(10)
            return True

    replica = Replica(server, at, Slow(server=server))
    async with asyncio.timeout(5):
        for _ in range(LEAST_CALLS):
            assert replica.breakers.health("openai", "m").breaker == "closed"
            permit = await replica.breakers.admit("openai", "m")
            assert permit is not None
            permit.fail(failure(ServerError))
        assert replica.breakers.health("openai", "m").breaker == "open"
    answer.set()
    await replica.breakers.aclose()
