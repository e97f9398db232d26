"""Requests without a valid token: counted by address, before any work, and nobody else's trouble."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import cast

import httpx
import pytest
import structlog
from litestar.types import HTTPScope

from app.api.callers import MAX_ADDRESSES, MAX_PROXIES_LOGGED, AddressLimit, UnnamedProxies, _address, _host
from scripts.local_supabase import LocalSupabase
from tests.support.service import Api, running_api, sign_up

PER_MINUTE = 120


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def spend(limit: AddressLimit, address: str) -> int:
    """Refusals until the address is told to wait."""
    for count in range(10 * PER_MINUTE):
        if limit.refusal(address) is not None:
            return count
        limit.count(address)
    pytest.fail("it never is")


def test_one_minutes_worth_and_what_has_come_back() -> None:
    clock = Clock()
    limit = AddressLimit(PER_MINUTE, clock)
    assert spend(limit, "a") == PER_MINUTE
    refusal = limit.refusal("a")
    assert refusal is not None
    assert refusal.retry_after is not None
    assert limit.refusal("b") is None
    clock.now += refusal.retry_after
    assert spend(limit, "a") == refusal.retry_after * PER_MINUTE / 60
    clock.now += 3600
    assert spend(limit, "a") == PER_MINUTE


def test_memory_is_bounded_and_keeps_the_busiest() -> None:
    limit = AddressLimit(PER_MINUTE, Clock())
    spend(limit, "old")
    for number in range(MAX_ADDRESSES - 1):
        limit.count(f"address {number}")
    limit.count("old")
    limit.count("one more")
    assert limit.refusal("old") is not None
    limit.count("and another")
    assert len(limit._full_at) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("203.0.113.7", 1), "203.0.113.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::1", 1), "2001:db8:1:2::/64"),
        (("::ffff:203.0.113.7", 1), "::ffff:203.0.113.7"),
        (("testclient", 1), "testclient"),
        (None, ""),
    ],
)
def test_address(client: tuple[str, int] | None, address: str) -> None:
    assert _address(_host(cast("HTTPScope", {"client": client}))) == address


@pytest.fixture
async def client(replicas: tuple[Api, Api]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=replicas[1].url, timeout=30)


async def test_guesses_are_limited_before_anything_is_read(stack: LocalSupabase, client: httpx.AsyncClient) -> None:
    known, unknown = await sign_up(stack), await sign_up(stack)
    guess = {"Authorization": "Bearer guess", "X-Forwarded-For": "203.0.113.1"}
    async with client:
        statuses = []
        while not statuses or (statuses[-1] == 401 and len(statuses) < 2 * PER_MINUTE):
            # were the body looked at, it would be 400
            refused = await client.post("/v1/conversations", headers=guess, content=b"{")
            statuses.append(refused.status_code)
        assert statuses[-1] == 429
        assert len(statuses) > PER_MINUTE
        assert refused.json()["code"] == "rate_limited"
        seconds = refused.headers["retry-after"]
        assert refused.headers["ratelimit"] == f'"unauthenticated";r=0;t={seconds}'

        # the same address: a token that is valid passes, though nobody has seen it before
        here = {"X-Forwarded-For": "203.0.113.1"}
        assert (await client.get("/v1/models", headers=known.headers | here)).status_code == 200
        # the limit regains two a second
        answers = [(await client.get("/v1/models", headers=here)).status_code for _ in range(20)]
        assert 429 in answers
        # another address: nothing happened
        there = {"X-Forwarded-For": "203.0.113.2"}
        assert (await client.get("/v1/models", headers=unknown.headers | there)).status_code == 200
        assert (await client.get("/v1/models", headers=there)).status_code == 401
        # what needs no token is not limited
        assert (await client.get("/health/live", headers=here)).status_code == 200


async def test_who_is_no_proxy_cannot_name_an_address(replicas: tuple[Api, Api]) -> None:
    async with httpx.AsyncClient(base_url=replicas[0].url, timeout=30) as client:
        for number in range(4 * PER_MINUTE):
            named = {"X-Forwarded-For": f"203.0.113.{number % 250}, 198.51.100.{number % 249}"}
            refused = await client.get("/v1/models", headers=named)
            if refused.status_code == 429:
                break
        assert refused.status_code == 429
        # the other tests have the same address
        await asyncio.sleep(int(refused.headers["retry-after"]))


async def test_behind_a_proxy_that_appends_no_client_has_a_new_address_each_time(
    stack: LocalSupabase, tmp_path: Path
) -> None:
    settings = {"FORWARDED_ALLOW_IPS": "*", "RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "1"}
    async with (
        running_api(stack, tmp_path / "api.log", **settings) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, headers={"Authorization": "Bearer guess"}) as client,
    ):

        async def status(path: str, forwarded_for: str) -> int:
            return (await client.get(path, headers={"X-Forwarded-For": forwarded_for})).status_code

        guesses = [await status("/v1/models", f"9.9.9.{number}, 203.0.113.8") for number in range(4)]
        assert guesses == [401, 429, 429, 429]
        assert await status("/openai/v1/models", "9.9.9.5, 203.0.113.8") == 429
        assert await status("/v1/models", "9.9.9.1, 203.0.113.9") == 401


async def test_preflights_are_nobodys_guess(client: httpx.AsyncClient) -> None:
    headers = {
        "X-Forwarded-For": "203.0.113.3",
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
    }
    async with client:
        statuses = {(await client.options("/v1/models", headers=headers)).status_code for _ in range(5)}
    assert not statuses & {401, 429}


# ── proxies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def named_in_log(api: Api) -> list[str]:
    lines = (json.loads(line) for line in api.log_text.splitlines())
    return [line["address"] for line in lines if line["event"] == "proxy.unnamed"]


async def test_a_proxy_that_is_not_named_is_said_once(stack: LocalSupabase, replicas: tuple[Api, Api]) -> None:
    person = await sign_up(stack)
    for api, expected in zip(replicas, (["127.0.0.1"], []), strict=True):
        async with httpx.AsyncClient(base_url=api.url, timeout=30, headers=person.headers) as client:
            for last in range(5):
                forwarded = {"X-Forwarded-For": f"203.0.113.{last}, 198.51.100.7"}
                assert (await client.get("/v1/models", headers=forwarded)).status_code == 200
        assert named_in_log(api) == expected


async def test_named_proxies_that_write_a_field_each_are_not_said(
    stack: LocalSupabase, replicas: tuple[Api, Api]
) -> None:
    """HAProxy adds a field of its own in place of appending to the one that is there."""
    person = await sign_up(stack)
    fields = [("X-Forwarded-For", "203.0.113.60"), ("X-Forwarded-For", "127.0.0.1")]
    async with httpx.AsyncClient(base_url=replicas[1].url, timeout=30, headers=person.headers) as client:
        assert (await client.get("/v1/models", headers=[*fields, *person.headers.items()])).status_code == 200
    assert named_in_log(replicas[1]) == []


def test_not_every_stranger_who_sends_the_header_is_in_the_log(default_log: None) -> None:
    proxies = UnnamedProxies()
    with structlog.testing.capture_logs() as lines:
        for number in range(100):
            proxies.look(f"203.0.113.{number}", b"198.51.100.7")
            proxies.look(f"203.0.113.{number}", b"198.51.100.7")
    assert len(lines) == MAX_PROXIES_LOGGED
