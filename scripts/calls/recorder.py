"""Recorder: records the stores' calls of the Data API with a proxy between them and the stack."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import aiohttp
import httpx
import msgspec
from aiohttp import web

from app.exchange import exchanging
from app.store.client import ServiceCall, Supabase
from scripts.calls.kinds import decoded_by, kinds
from scripts.calls.tape import Call, Caller, Names
from scripts.local_supabase import LocalSupabase

T = TypeVar("T")

DATA_API = "/rest/v1"


@dataclass(frozen=True)
class User:
    """A user who has signed up and has no plan."""

    id: str
    email: str
    token: str

    @property
    def names(self) -> Names:
        return Names({"user": self.id, "email": self.email})


def sign_up(stack: LocalSupabase) -> User:
    """Sign up a new user."""
    email = f"{uuid.uuid4().hex}@parley.example"
    credentials = {"email": email, "password": "correct horse battery staple"}
    answer = httpx.post(
        f"{stack.url}/auth/v1/signup", headers={"apikey": stack.publishable_key}, json=credentials, timeout=30
    )
    session = answer.raise_for_status().json()
    return User(session["user"]["id"], email, session["access_token"])


def refusal(status: int, answer: Any) -> str | None:
    """The SQLSTATE of a refusal, and the problem code if one of our functions raised it; None for a success."""
    if status < 300:
        return None
    code = str(answer["code"])
    return f"{code} {answer['message']}" if code.startswith("PT") else code


class Recorder:
    """The calls so far. Calls must be made one after the other."""

    def __init__(self, stack: LocalSupabase, user: User) -> None:
        self._stack = stack
        self._names = user.names
        self.calls: list[Call] = []

    def record(self, request: web.Request, sent: bytes, status: int, answer: Any) -> None:
        query = parse_qsl(request.query_string, keep_blank_values=True)
        call = Call(
            caller=self._caller(request),
            method=request.method,
            path=request.path.removeprefix(DATA_API),
            query=[(name, self._names.hide(value)) for name, value in query],
            prefer=request.headers.get("Prefer"),
            body=self._names.hide(json.loads(sent)) if sent else None,
            status=status,
            error=refusal(status, answer),
            answer=kinds(answer) if status < 300 else None,
        )
        self.calls.append(call)
        self._names.learn(answer)

    def decoded(self, result: object) -> None:
        """The last answer was decoded to the type `result`: keep only the parts that this type needs."""
        answer = self._names.answers[-1]
        needed = kinds(answer, decoded_by(result)) if result is not object else None
        self.calls[-1] = msgspec.structs.replace(self.calls[-1], answer=needed)

    def _caller(self, request: web.Request) -> Caller:
        if request.headers["apikey"] == self._stack.secret_key:
            return "service"
        return "user" if "Authorization" in request.headers else "anon"


class ObservedSupabase(Supabase):
    """A `Supabase` that tells the recorder to which types the answers are decoded."""

    recorder: Recorder

    async def user_rpc(self, token: str, function: str, arguments: Mapping[str, object], result: type[T]) -> T:
        answer = await super().user_rpc(token, function, arguments, result)
        self.recorder.decoded(result)
        return answer

    async def service_rpc(
        self, function: ServiceCall, arguments: Mapping[str, object], result: type[T], *, user_id: str | None = None
    ) -> T:
        answer = await super().service_rpc(function, arguments, result, user_id=user_id)
        self.recorder.decoded(result)
        return answer


@asynccontextmanager
async def recording(stack: LocalSupabase, user: User) -> AsyncGenerator[ObservedSupabase]:
    """The stack's project behind a proxy that records all calls of the Data API."""
    recorder = Recorder(stack, user)

    async def forward(request: web.Request) -> web.Response:
        sent = await request.read()
        async with session.request(
            request.method, stack.url + request.raw_path, data=sent, headers=request.headers
        ) as response:
            content = await response.read()
        if request.path.startswith(DATA_API):
            recorder.record(request, sent, response.status, json.loads(content) if content else None)
        return web.Response(status=response.status, body=content, content_type=response.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, exchanging(aiohttp.ClientSession()) as pool:
            supabase = ObservedSupabase(
                f"http://{host}:{port}", stack.publishable_key, stack.secret_key, pool, direct=True
            )
            supabase.recorder = recorder
            yield supabase
            await supabase.aclose()
    finally:
        await runner.cleanup()
