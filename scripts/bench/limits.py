"""Measures the limiter on a real Postgres, with 20 calls in flight: part of `make bench`.

The calls go directly to the database, with a user's role and claims, so that only the database is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import count

import psycopg

from scripts.local_supabase import LocalSupabase

IN_FLIGHT = 20
SECONDS = 4.0
USERS = 200
# one statement that sets the user's claims and makes the call
AS_USER = "with claims as materialized (select set_config('request.jwt.claims', %s, false)) select {} from claims"
ADMIT = AS_USER.format("public.admit_request('search')")
BEGIN = AS_USER.format(
    "public.begin_turn(%s::uuid, p_conversation_id => %s::uuid, p_content => 'Hello', p_max_tokens => 1)"
)

Connection = psycopg.AsyncConnection[tuple[object, ...]]
Arguments = Callable[[int], tuple[object, ...]]


def claims(user: uuid.UUID) -> str:
    return json.dumps({"role": "authenticated", "sub": str(user)})


def people(database: psycopg.Connection[tuple[object, ...]], number: int) -> Iterator[tuple[uuid.UUID, uuid.UUID]]:
    """New premium users, each with a conversation."""
    for _ in range(number):
        user, conversation = uuid.uuid4(), uuid.uuid4()
        database.execute("insert into auth.users (id, email) values (%s, %s)", [user, f"{user}@parley.example"])
        database.execute("insert into public.entitlements (user_id, plan) values (%s, 'premium')", [user])
        database.execute("insert into public.conversations (id, user_id) values (%s, %s)", [conversation, user])
        yield user, conversation


async def load(url: str, query: str, arguments: Arguments) -> tuple[list[float], int, float]:
    """The milliseconds of each admitted call, the number of refused calls, and the seconds for all."""
    connections = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(IN_FLIGHT)]
    for connection in connections:
        await connection.execute("set role authenticated")
    numbers, admitted, refused = count(), list[float](), 0
    started = time.perf_counter()

    async def work(connection: Connection) -> None:
        nonlocal refused
        while (before := time.perf_counter()) - started < SECONDS:
            try:
                await connection.execute(query, arguments(next(numbers)), prepare=True)
            except psycopg.DatabaseError as error:
                if error.sqlstate != "PT429":
                    raise
                refused += 1
            else:
                admitted.append((time.perf_counter() - before) * 1000)

    await asyncio.gather(*(work(connection) for connection in connections))
    seconds = time.perf_counter() - started
    for connection in connections:
        await connection.close()
    return admitted, refused, seconds


def report(what: str, times: list[float], seconds: float) -> None:
    ordered = sorted(times)
    median, p99 = ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]
    print(f"{what:<34} {len(times) / seconds:6.0f}/s   p50 {median:5.2f} ms   p99 {p99:5.2f} ms")


async def measure(url: str, everyone: list[tuple[uuid.UUID, uuid.UUID]], limited: uuid.UUID) -> None:
    users = [claims(user) for user, _ in everyone]
    times, _, seconds = await load(url, ADMIT, lambda number: (users[number % USERS],))
    report(f"admissions of {USERS} users", times, seconds)
    times, _, seconds = await load(url, ADMIT, lambda _: (users[0],))
    report("admissions of one user", times, seconds)
    times, refused, seconds = await load(url, ADMIT, lambda _: (claims(limited),))
    print(f"{'one user at 60 a minute':<34} {len(times)} admitted, {refused / seconds:.0f} refused a second")

    def turn(number: int) -> tuple[object, ...]:
        return users[number % USERS], uuid.uuid4(), everyone[number % USERS][1]

    times, _, seconds = await load(url, BEGIN, turn)
    report("begin_turn, whole", times, seconds)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"\nlimits: Postgres itself, {IN_FLIGHT} calls in flight")
    with LocalSupabase.throwaway() as stack:
        with psycopg.connect(stack.database_url, autocommit=True) as database:
            everyone = list(people(database, USERS))
            ((limited, _),) = people(database, 1)
            # all users but one have a plan with limits that are high enough
            database.execute(
                "update private.plans set requests_per_minute = 100000000, tokens_per_minute = 1000000000 "
                "where plan = 'premium'"
            )
            database.execute("insert into private.plans (plan, requests_per_minute) values ('limited', 60)")
            database.execute("update public.entitlements set plan = 'limited' where user_id = %s", [limited])
        asyncio.run(measure(stack.database_url, everyone, limited))


if __name__ == "__main__":
    main()
