"""Attacks on the front door: heads and bodies without end, bad tokens, tokens of a key that was withdrawn."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import suppress

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.attack.bounds import Attack, Bound, counted
from scripts.attack.target import Target, until

MB = 1_000_000
FLOOD_BYTES = 60 * MB
FLOOD_SECONDS = 10
DOCUMENT_BYTES = 20 * MB
HELD_SECONDS = 5
BODIES_OF_A_USER, BODIES_OF_ALL = 2, 3
"""So many bodies of the largest size may be in flight."""
BAD_TOKENS = 302
KEYS_PATH = "/auth/v1/.well-known/jwks.json"
ROTATION_SECONDS = 45
"""An unknown key has the set fetched again after 30 s at most."""


class Line:
    """A plain connection, which sends whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def pour(self, piece: bytes, most: int, seconds: float) -> int:
        """Send `piece` again and again, until `most` bytes are sent, the time is over or the other side closes."""
        sent = 0
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(seconds):
                while sent < most and not self._writer.is_closing():
                    self._writer.write(piece)
                    sent += len(piece)
                    await self._writer.drain()
                    await asyncio.sleep(0)
        return sent

    async def status(self, seconds: float = 0.2) -> int:
        """Of the answer, or 0 if none comes."""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(seconds):
                first = await self._reader.readline()
                return int(first.split()[1]) if first else 0
        return 0

    def cut(self) -> None:
        self._writer.transport.abort()


async def heads_without_end(target: Target, size: float, begin: bytes, piece: bytes) -> list[Bound]:
    """One connection after the other, as each is refused."""
    sent, statuses, seconds = 0, [], FLOOD_SECONDS * size
    for _ in until(seconds):
        if sent >= FLOOD_BYTES * size:
            break
        line = await Line.to(target.port)
        # read while more is sent: the refusal would be lost with the connection
        answer = asyncio.create_task(line.status(seconds + 1))
        sent += await line.pour(begin, 1, 5)
        sent += await line.pour(piece, max(MB, int(FLOOD_BYTES * size) - sent), seconds)
        statuses.append(await answer)
        line.cut()
    return [
        Bound(
            f"{sent / MB:,.0f} MB were sent on {len(statuses):,} connections ({counted(statuses)})",
            "each is refused",
            set(statuses) == {431},
        )
    ]


async def header(target: Target, size: float) -> list[Bound]:
    return await heads_without_end(target, size, b"GET /v1/models HTTP/1.1\r\nX-Long: ", b"a" * 16_384)


async def tiny_headers(target: Target, size: float) -> list[Bound]:
    return await heads_without_end(target, size, b"GET /v1/models HTTP/1.1\r\n", b"a:\r\n" * 4_096)


async def unfinished(target: Target, size: float, users: int, most: int) -> list[Bound]:
    """Documents of so many users, of which the process may hold `most`."""
    people, before = [await target.user() for _ in range(users)], target.failures()
    lines = [await Line.to(target.port) for _ in range(int(60 * size))]

    async def upload(number: int, line: Line) -> int:
        head = (
            "POST /v1/documents HTTP/1.1\r\nHost: attack\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {people[number % users].token}\r\nContent-Length: {DOCUMENT_BYTES}\r\n\r\n"
        )
        await line.pour(head.encode(), 1, 5)
        return await line.pour(b"a" * 65_536, DOCUMENT_BYTES - MB, 2 * FLOOD_SECONDS)

    sent = sum(await asyncio.gather(*(upload(number, line) for number, line in enumerate(lines))))
    await asyncio.sleep(HELD_SECONDS * size)
    refused = [status for status in await asyncio.gather(*(line.status() for line in lines)) if status]
    for line in lines:
        line.cut()
    # the log is written when the process has seen that they are gone
    await asyncio.sleep(1)
    return [
        Bound(
            f"{sent / MB:,.0f} MB were sent on {len(lines)} connections, {len(lines) - len(refused)} not refused "
            f"({counted(refused)})",
            f"at most {most} not refused",
            len(lines) - len(refused) <= most and set(refused) <= {429, 503},
        ),
        Bound(f"{target.failures() - before} answers 500 in the log", "none", target.failures() == before),
    ]


async def uploads(target: Target, size: float) -> list[Bound]:
    return await unfinished(target, size, users=1, most=BODIES_OF_A_USER)


async def uploads_of_six(target: Target, size: float) -> list[Bound]:
    return await unfinished(target, size, users=6, most=BODIES_OF_ALL)


async def bad_tokens(target: Target, size: float) -> list[Bound]:
    fresh = await target.user(None)
    async with target.session() as session, target.session(fresh) as own:

        async def guess() -> int:
            async with session.get("/v1/models", headers={"Authorization": "Bearer guess"}) as answer:
                return answer.status

        statuses = await asyncio.gather(*(guess() for _ in range(int(BAD_TOKENS * size))))
        # at once, since the address regains a guess each 0.2 s
        async with own.get("/v1/models") as answer:
            status = answer.status
    refused = set(statuses) <= {401, 429} and (size < 1 or 429 in statuses)
    return [
        Bound(counted(statuses), "401, and 429 beyond the limit", refused),
        Bound(f"a fresh user of the same address then: {status}", "200", status == 200),
    ]


def signing_key() -> tuple[ec.EllipticCurvePrivateKey, dict[str, str]]:
    """A new key, and what a project publishes of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    published = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return key, {**published, "alg": "ES256", "kid": uuid.uuid4().hex}


class Project:
    """The embedded Supabase with another set of keys, at an address of its own."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.keys: list[dict[str, str]] = []
        self.url = ""

    def token(self, key: ec.EllipticCurvePrivateKey, published: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": f"{self.url}/auth/v1", "aud": "authenticated", "sub": str(uuid.uuid4())}
        times = {"role": "authenticated", "iat": now, "exp": now + 3600}
        return jwt.encode(claims | times, key, "ES256", headers={"kid": published["kid"]})

    async def start(self) -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == KEYS_PATH:
            return web.json_response({"keys": self.keys})
        kept = {
            name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")
        }
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, self._target.stack.url + request.path_qs, headers=kept, data=await request.read()
            ) as answer,
        ):
            return web.Response(
                status=answer.status, body=await answer.read(), content_type=answer.content_type, charset=answer.charset
            )


async def rotation(target: Target, size: float) -> list[Bound]:
    project = Project(target)
    runner = await project.start()
    (old, old_published), (new, new_published) = signing_key(), signing_key()
    project.keys = [old_published]
    opened = target.api_process("api-of-another-key", supabase_url=project.url)
    try:
        # its start asks the project, which this loop serves
        _, port = await asyncio.to_thread(opened.__enter__)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

                async def status(token: str) -> int:
                    async with session.get("/v1/models", headers={"Authorization": f"Bearer {token}"}) as answer:
                        return answer.status

                stolen, valid = project.token(old, old_published), project.token(new, new_published)
                before = await status(stolen)
                project.keys = [new_published]
                for _ in until(ROTATION_SECONDS):
                    if await status(valid) == 200:
                        break
                    await asyncio.sleep(1)
                after = await status(stolen)
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)
    finally:
        await runner.cleanup()
    return [
        Bound(
            f"a token that was seen before: {before}, and {after} once the project's set was fetched without its key",
            "200, then 401",
            (before, after) == (200, 401),
        )
    ]


ATTACKS = [
    Attack("header", "A header without end, again after each refusal, for 10 s or 60 MB", header),
    Attack("tiny-headers", "Tiny header fields without end, again after each refusal, for 10 s or 60 MB", tiny_headers),
    Attack("uploads", "60 documents of 20 MB of one user, which never end", uploads),
    Attack("uploads-of-six", "60 documents of 20 MB of six users, which never end", uploads_of_six),
    Attack("bad-tokens", "302 requests with bad tokens, then a fresh user of the same address", bad_tokens),
    Attack("rotation", "A token whose key the project has withdrawn", rotation),
]
