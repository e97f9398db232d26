"""`make bench-first-token`: one turn at a time on the real embedded stack, and where its time to the first token goes.

The client, the fake provider and the other calls take turns, so that all meet the same noise. Each figure is a median;
what cannot be observed from outside is a difference of two figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import uvloop

from scripts.bench.load import FIRST_TOKEN
from scripts.bench.servers import QUESTION, ROOT, SERVER_CORE, running, wait_for
from scripts.bench.upstream import Provider
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port

MODEL = "fake-20-0-0"
WARM = 40
TURNS_OF_A_CONVERSATION = 10
PAUSE_SECONDS = 0.06
"""After each reply, so that storing its end does not meet the next turn."""
GATEWAY_ALONE = "/auth/v1/.well-known/jwks.json"
"""A path that the gateway answers without the database."""
PASSWORD = "a password of the bench"  # noqa: S105

Samples = dict[str, list[float]]


class Clocked(Provider):
    """The fake provider, which notes when it was asked and when it wrote its first token."""

    asked = 0.0
    answered = 0.0

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        Clocked.asked = time.perf_counter()
        super().handle(path, head, body)

    def _write(self, data: bytes) -> None:
        super()._write(data)
        if FIRST_TOKEN in data:
            Clocked.answered = time.perf_counter()


class Wire(asyncio.Protocol):
    """One kept connection with one request at a time; says when `sign` came and when the answer was whole."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._seen = b""
        self._sign = b""
        self._first = 0.0
        self._done: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._seen += data
        if not self._first and self._sign in self._seen:
            self._first = now
        if self._whole() and self._done is not None and not self._done.done():
            self._done.set_result(self._seen)

    def _whole(self) -> bool:
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not end:
            return False
        at = head.lower().find(b"content-length:")
        if at >= 0:
            return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])
        return body.endswith(b"0\r\n\r\n")

    async def ask(self, content: bytes, sign: bytes) -> tuple[float, float]:
        """The times at which the request was sent and `sign` came. Raises RuntimeError for another status than 200."""
        self._seen, self._first, self._sign = b"", 0.0, sign
        self._done = asyncio.get_running_loop().create_future()
        sent = time.perf_counter()
        self.transport.write(content)
        whole = await asyncio.wait_for(self._done, 30)
        if not whole.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(whole[:600].decode(errors="replace"))
        return sent, self._first


async def wire(port: int) -> Wire:
    return (await asyncio.get_running_loop().create_connection(Wire, "127.0.0.1", port))[1]


def request(method: str, path: str, fields: dict[str, str], body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    every = {"Host": "127.0.0.1", "Content-Type": "application/json", **fields, "Content-Length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in every.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


class Bench:
    """The stack, a user of it, and what is asked in turn."""

    def __init__(self, stack: LocalSupabase, db: psycopg.Connection[Any], api_port: int) -> None:
        self._db = db
        self._supabase_port = int(stack.url.rsplit(":", 1)[1])
        self._api_port = api_port
        self._key = stack.publishable_key
        session = httpx.post(
            f"{stack.url}/auth/v1/signup",
            headers={"apikey": self._key},
            json={"email": f"{uuid4().hex}@example.com", "password": PASSWORD},
            timeout=30,
        ).json()
        self._user = session["user"]["id"]
        db.execute("insert into public.entitlements (user_id, plan) values (%s, 'premium')", [self._user])
        self._token = {"Authorization": f"Bearer {session['access_token']}"}
        self._claims = json.dumps({"sub": self._user, "role": "authenticated"})
        self.samples: Samples = defaultdict(list)

    async def open(self) -> None:
        self._api = await wire(self._api_port)
        self._supabase = await wire(self._supabase_port)

    async def conversation(self) -> str:
        row = self._db.execute(
            "insert into public.conversations (user_id, title) values (%s, 'Bench') returning id::text", [self._user]
        ).fetchone()
        assert row is not None
        return str(row[0])

    async def turn(self, conversation: str) -> None:
        """A whole turn, of which the provider's clock tells where it was when."""
        content = request(
            "POST",
            f"/v1/conversations/{conversation}/messages",
            {**self._token, "Accept": "text/event-stream"},
            {"content": QUESTION, "model": MODEL},
        )
        sent, first = await self._api.ask(content, FIRST_TOKEN)
        self._keep("whole", first - sent)
        self._keep("asked", Clocked.asked - sent)
        self._keep("provider", Clocked.answered - Clocked.asked)
        self._keep("back", first - Clocked.answered)

    def _begin(self, conversation: str) -> dict[str, object]:
        model = {
            "provider": "openai",
            "model": MODEL,
            "known": True,
            "named": True,
            "input": 1,
            "cached": 1,
            "output": 1,
        }
        offer = {"models": [model], "others": [], "passage_tokens": 0}
        return {
            "p_writer": str(uuid4()),
            "p_reply_id": str(uuid4()),
            "p_max_tokens": None,
            "p_conversation_id": conversation,
            "p_content": QUESTION,
            "p_offer": offer,
        }

    async def begin_turn(self, conversation: str) -> None:
        """The call of a turn as the API makes it, through the gateway. The reply that it begins is taken away."""
        fields = {"apikey": self._key, **self._token}
        body = self._begin(conversation)
        sent, first = await self._supabase.ask(
            request("POST", "/rest/v1/rpc/begin_turn", fields, body), b"HTTP/1.1 200"
        )
        self._keep("begin_turn by HTTP", first - sent)
        self._db.execute("delete from private.live_replies where message_id = %s", [body["p_reply_id"]])
        self._db.execute("delete from public.messages where id = %s", [body["p_reply_id"]])

    async def in_postgres(self, conversation: str) -> None:
        """The same in one statement of a session, rolled back."""
        body = self._begin(conversation)
        values = {**body, "p_offer": json.dumps(body["p_offer"])}
        named = ", ".join(f"{name} => %({name})s" for name in values)
        with self._db.transaction(force_rollback=True):
            self._db.execute(
                "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
                [self._claims],
            )
            started = time.perf_counter()
            self._db.execute(f"select public.begin_turn({named})", values, prepare=True).fetchone()
            self._keep("begin_turn in Postgres", time.perf_counter() - started)

    async def gateway(self, conversation: str) -> None:
        fields = {"apikey": self._key, **self._token}
        sent, first = await self._supabase.ask(request("GET", GATEWAY_ALONE, fields), b"HTTP/1.1 200")
        self._keep("gateway alone", first - sent)
        light = request("POST", "/rest/v1/rpc/passage_models", fields, {})
        sent, first = await self._supabase.ask(light, b"HTTP/1.1 200")
        self._keep("a light call by HTTP", first - sent)

    def _keep(self, what: str, seconds: float) -> None:
        self.samples[what].append(seconds * 1000)


async def measure(stack: LocalSupabase, db: psycopg.Connection[Any], api_port: int, turns: int) -> Samples:
    bench = Bench(stack, db, api_port)
    await bench.open()
    conversation = await bench.conversation()
    for number in range(WARM + turns):
        if number == WARM:
            bench.samples.clear()
        if number % TURNS_OF_A_CONVERSATION == 0:
            conversation = await bench.conversation()
        for ask in (bench.turn, bench.begin_turn, bench.in_postgres, bench.gateway):
            await ask(conversation)
            await asyncio.sleep(PAUSE_SECONDS)
    return bench.samples


def table(samples: Samples) -> Iterator[str]:
    """Lines: where the milliseconds of a first token go, of the median and of the quickest tenth."""
    found = {
        name: [sorted(values)[int(share * len(values))] for share in (0.5, 0.1)] for name, values in samples.items()
    }

    def less(name: str, *others: str) -> list[float]:
        return [value - sum(found[other][at] for other in others) for at, value in enumerate(found[name])]

    rows = {
        "the API until it asks the provider, without the database": less("asked", "begin_turn by HTTP"),
        "the gateway's way of `begin_turn`, and its transaction": less("begin_turn by HTTP", "begin_turn in Postgres"),
        "`begin_turn` in Postgres": found["begin_turn in Postgres"],
        "the provider's own": found["provider"],
        "from the provider's first token to the reader": found["back"],
        "**first token, from the request on**": found["whole"],
        "beside that: a light call of a function by HTTP": found["a light call by HTTP"],
        "the gateway without the database": found["gateway alone"],
    }
    yield "| | median, ms | quickest tenth, ms |"
    yield "|---|---|---|"
    for label, (median, quick) in rows.items():
        yield f"| {label} | {median:.2f} | {quick:.2f} |"


async def run(turns: int) -> None:
    server = await asyncio.get_running_loop().create_server(Clocked, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    with LocalSupabase.throwaway() as stack, psycopg.connect(stack.superuser_url, autocommit=True) as db:
        api_port = free_port()
        env = {
            "SUPABASE_URL": stack.url,
            "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
            "SUPABASE_SECRET_KEY": stack.secret_key,
            "OPENAI_API_KEY": "bench",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
            "OPENAI_MODEL": MODEL,
            "PARLEY_PORT": str(api_port),
            "LOG_LEVEL": "error",
            "RATE_LIMIT_REQUESTS_PER_MINUTE": "1000000",
            "RATE_LIMIT_TOKENS_PER_MINUTE": "1000000000",
            "TITLES": "off",
            "WEB": "off",
        }
        with running((sys.executable, "-m", "app"), SERVER_CORE, cwd=ROOT, env=env) as api:
            if hasattr(api, "cpu_affinity"):
                api.cpu_affinity([])  # one turn at a time: whichever core is free
            await asyncio.to_thread(wait_for, f"http://127.0.0.1:{api_port}/health/ready")
            samples = await measure(stack, db, api_port, turns)
    server.close()
    print("\n".join(table(samples)))
    print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-first-token", description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    uvloop.run(run(parser.parse_args().turns))


if __name__ == "__main__":
    main()
