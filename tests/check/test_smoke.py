"""`scripts/smoke.py`: a deployment that works, and each kind of one that does not. What it makes, it deletes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest
from aiohttp import web

from scripts import smoke
from scripts.local_supabase import LocalSupabase
from tests.support.gateway import Answer, Gateway
from tests.support.replica_client import eventually
from tests.support.service import PASSWORD, ROOT, Api, Person, running_api, sign_up
from tests.support.upstream import MODEL, Upstream


@pytest.fixture(scope="module")
async def provider() -> AsyncGenerator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
async def deployment(
    stack: LocalSupabase, provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    settings = {
        "WEB": "on",  # for /config.json
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_MODEL": MODEL,
        "EMBEDDING_MODEL": "local",
    }
    async with running_api(stack, tmp_path_factory.mktemp("smoke") / "api.log", **settings) as running:
        yield running


@pytest.fixture
async def person(stack: LocalSupabase, provider: Upstream) -> Person:
    """A new user; the provider replies in half a second."""
    provider.script = {"tokens": 20, "gap": 0.025}
    return await sign_up(stack)


@pytest.fixture
def conversations(stack: LocalSupabase, person: Person) -> Conversations:
    return Conversations(stack, person)


class Conversations:
    """What the user has left."""

    def __init__(self, stack: LocalSupabase, person: Person) -> None:
        self._url, self._id = stack.database_url, person.id

    def count(self) -> int:
        with psycopg.connect(self._url) as owner:
            row = owner.execute("select count(*) from public.conversations where user_id = %s", [self._id]).fetchone()
        assert row is not None
        return int(row[0])


def environment(person: Person, **more: str) -> dict[str, str]:
    return {"PARLEY_EMAIL": person.email, "PARLEY_PASSWORD": PASSWORD, **more}


async def steps(
    capsys: pytest.CaptureFixture[str], url: str, *arguments: str, **environ: str
) -> dict[str, tuple[str, str]]:
    """Each step with how it went and what it said."""
    await smoke.run(smoke.parser().parse_args([url, *arguments]), environ)
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.replace("sign in", "sign_in").splitlines()]
    return {name: (status, said) for status, name, said in lines if name != "clean"}


def start(url: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "smoke.py"), url, *arguments],
        cwd="/",
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=90)
    return process.returncode, out, err


async def test_a_deployment_that_works(deployment: Api, person: Person, conversations: Conversations) -> None:
    """As an operator starts it, from another folder, without the project's address."""
    process = start(deployment.url, "--chat", "--completions", "--provider", "openai", **environment(person))
    code, out, err = await ended(process)
    assert (code, err) == (0, ""), out
    *lines, last = out.splitlines()
    assert [line[:8].strip() for line in lines] == ["ok"] * 13
    assert [line[9:21].strip() for line in lines] == [
        "live",
        "ready",
        "sign in",
        "models",
        "conversation",
        "realtime",
        "sse",
        "stored",
        "resumed",
        "delivered",
        "chat",
        "completions",
        "clean up",
    ]
    assert "openai/scripted-1 replied with 110 characters" in out
    assert last == "the deployment works"
    assert PASSWORD not in out
    assert conversations.count() == 0


async def test_what_was_made_is_deleted_when_it_is_ended(
    deployment: Api, person: Person, conversations: Conversations, provider: Upstream
) -> None:
    provider.script = {"tokens": 1000, "gap": 0.05}
    process = start(deployment.url, PARLEY_TOKEN=person.token)
    await eventually(lambda: conversations.count() == 1 and provider.open_calls > 0, within=60)
    process.send_signal(signal.SIGTERM)
    code, out, _ = await ended(process)
    assert code == 130
    assert "1 conversation is deleted" in out
    assert conversations.count() == 0


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ([], {}, "set PARLEY_TOKEN, or PARLEY_EMAIL and PARLEY_PASSWORD"),
        ([], {"PARLEY_EMAIL": "a@b.c", "DEMO_EMAIL": "d@b.c", "DEMO_PASSWORD": "p"}, "but PARLEY_PASSWORD is not: set"),
        (
            [],
            {"PARLEY_PASSWORD": "p", "DEMO_EMAIL": "d@b.c", "DEMO_PASSWORD": "q"},
            "but PARLEY_EMAIL is not: set both",
        ),
        ([], {"DEMO_EMAIL": "d@b.c"}, "DEMO_EMAIL is set, but DEMO_PASSWORD is not"),
        (["--timeout", "0"], {}, "is not a number of seconds"),
        (["--provder", "x"], {}, "unrecognized arguments"),
    ],
)
async def test_wrong_use(deployment: Api, arguments: list[str], environ: dict[str, str], words: str) -> None:
    code, _, err = await ended(start(deployment.url, *arguments, **environ))
    assert code == 2
    assert words in err


async def test_an_address_that_is_none() -> None:
    code, out, err = await ended(start("chat.example.com", PARLEY_TOKEN="t"))
    assert (code, out) == (2, "")
    assert "'chat.example.com' is not an http:// or https:// address" in err


async def test_another_address(stack: LocalSupabase, person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    found = await steps(capsys, "http://127.0.0.1:9", **environment(person))
    assert found == {"live": ("FAILED", found["live"][1])}
    assert found["live"][1].startswith("no answer (ConnectError)")
    found = await steps(capsys, stack.url, **environment(person))
    assert list(found) == ["live"]
    assert found["live"][1].startswith("this is not the address of Parley: /health/live is answered with 404")


async def test_a_user_who_is_not_accepted(
    deployment: Api, stack: LocalSupabase, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await steps(capsys, deployment.url, PARLEY_TOKEN="a.b.c")
    assert found["sign_in"][0] == "FAILED"
    assert "401 unauthenticated: The access token is malformed" in found["sign_in"][1]
    found = await steps(capsys, deployment.url, **environment(person) | {"PARLEY_PASSWORD": "another one"})
    assert found["sign_in"][1].startswith(f"Auth does not sign {person.email} in: 400, Invalid login credentials")
    poor = await sign_up(stack, plan=None)
    found = await steps(capsys, deployment.url, PARLEY_TOKEN=poor.token)
    assert found["sse"][0] == "FAILED"
    assert "premium_required" in found["sse"][1]
    assert "premium plan; give the user a plan: python -m app.admin grant EMAIL --plan premium" in found["sse"][1]


async def test_providers_that_do_not_answer(
    deployment: Api,
    provider: Upstream,
    person: Person,
    conversations: Conversations,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = await steps(capsys, deployment.url, "--provider", "gemini", PARLEY_TOKEN=person.token)
    assert found["sse"][0] == "FAILED"
    assert "The provider 'gemini' is not configured" in found["sse"][1]
    provider.script = {"status": 400}
    found = await steps(capsys, deployment.url, "--chat", "--completions", PARLEY_TOKEN=person.token)
    assert {name for name, (status, _) in found.items() if status == "FAILED"} == {"sse", "chat", "completions"}
    assert found["sse"][1].startswith("the reply ended with error")
    assert conversations.count() == 0


@asynccontextmanager
async def mute_realtime() -> AsyncGenerator[str]:
    """Realtime that lets everybody join, and delivers nothing."""

    async def connect(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            frame = json.loads(message.data)
            answer = {"status": "ok", "response": {"postgres_changes": []}}
            await socket.send_json({**frame, "event": "phx_reply", "payload": answer})
        return socket

    application = web.Application()
    application.router.add_get("/realtime/v1/websocket", connect)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_a_realtime_that_does_not_deliver(
    deployment: Api,
    stack: LocalSupabase,
    person: Person,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoke, "DELIVERY_SECONDS", 1.0)
    project = {"SUPABASE_PUBLISHABLE_KEY": stack.publishable_key, "PARLEY_TOKEN": person.token}
    async with mute_realtime() as url, Gateway(stack.url, realtime=url) as gateway:
        found = await steps(capsys, deployment.url, SUPABASE_URL=gateway.url, **project)
        assert {name for name, (status, _) in found.items() if status == "FAILED"} == {"delivered"}
        assert found["delivered"][1].startswith("Realtime delivered nothing within 1 s")
        gateway.paths["/realtime/v1"] = Answer(503)
        found = await steps(capsys, deployment.url, SUPABASE_URL=gateway.url, **project)
        assert {name for name, (status, _) in found.items() if status == "FAILED"} == {"realtime"}
        assert found["sse"][0] == "ok"


async def test_a_proxy_that_holds_the_stream_up(
    deployment: Api, provider: Upstream, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.script = {"tokens": 60, "gap": 0.05}
    async with Gateway(deployment.url) as proxy:
        found = await steps(capsys, proxy.url, PARLEY_TOKEN=person.token)
    assert {name for name, (status, _) in found.items() if status == "FAILED"} == {"delivered"}
    assert found["delivered"][1].startswith("SSE is held up: its first event came")


async def test_a_replica_that_is_not_ready(deployment: Api, person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    async with Gateway(deployment.url) as proxy:
        proxy.paths["/health/ready"] = Answer(503, '{"code": "draining", "title": "This server is shutting down"}')
        found = await steps(capsys, proxy.url, PARLEY_TOKEN=person.token)
        assert found["ready"][1].startswith("503 draining: This server is shutting down")
        proxy.paths |= {"/health": Answer(301, "", {"Location": "https://chat.example.com/"})}
        found = await steps(capsys, proxy.url, PARLEY_TOKEN=person.token)
        assert found["live"][0] == "FAILED"
