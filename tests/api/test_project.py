"""Settings that Supabase does not take: named at the start and by readiness, and no message hangs on them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.errors import AppError, SupabaseRefused, SupabaseUnavailable
from app.store import project as module
from app.store.client import open_supabase
from app.store.project import Project
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import NODE, tool_environment
from scripts.local_supabase.processes import free_port
from tests.api.tokens import claims_of, sign
from tests.support.client import EVENT_STREAM, WAIT, assert_problem, new_conversation, reading, script
from tests.support.gateway import INVALID_KEY, Answer, Gateway
from tests.support.service import ROOT, Api, Person, environment, running_api, sign_up

SECRET_HS256 = "super-secret-jwt-token-with-at-least-32-characters"
HTML = Answer(200, "<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})
NO_KEYS = Answer(200, '{"keys": []}')
QUICKLY = 5.0
"""Seconds. A call of Supabase may take ten, and what is not quick used to take a minute."""


def started(stack: LocalSupabase, **settings: str) -> subprocess.CompletedProcess[str]:
    """`python -m app` where it has to end by itself."""
    command = [sys.executable, "-m", "app"]
    settings = environment(stack, PARLEY_PORT=str(free_port()), **settings)
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60)


# ── the start ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"SUPABASE_SECRET_KEY": "sb_secret_wrong"},
            "The Data API of SUPABASE_URL refuses SUPABASE_SECRET_KEY (401, Invalid API key).",
        ),
        (
            # as a key that does not say what it is
            {"SUPABASE_PUBLISHABLE_KEY": "a-key", "SUPABASE_SECRET_KEY": "another"},
            "Auth of SUPABASE_URL refuses SUPABASE_PUBLISHABLE_KEY (401, Invalid API key). "
            "The Data API of SUPABASE_URL refuses SUPABASE_SECRET_KEY (401, Invalid API key).",
        ),
        (
            {"SUPABASE_URL": "{url}/elsewhere"},
            "SUPABASE_URL is not the address of a Supabase project: /auth/v1/settings is answered with 404, and not "
            "with the settings of Auth.",
        ),
    ],
)
async def test_a_refusal_ends_the_start_with_one_line(
    stack: LocalSupabase, settings: dict[str, str], said: str
) -> None:
    given = {name: value.format(url=stack.url) for name, value in settings.items()}
    ended = await asyncio.to_thread(started, stack, **given)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"parley: {said}\n")


async def test_a_project_without_our_migrations_ends_the_start(tmp_path: Path) -> None:
    """An empty project, as before the first `supabase db push`."""
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    (tmp_path / "supabase" / "config.toml").write_text((ROOT / "supabase" / "config.toml").read_text())
    with LocalSupabase.throwaway(tmp_path) as empty:
        ended = await asyncio.to_thread(started, empty)
    assert ended.returncode == 2
    assert ended.stderr == (
        "parley: The database of SUPABASE_URL does not fit this version of Parley "
        "(it lacks the function applied_migrations): apply supabase/migrations, "
        "with `npx supabase db push --remote` for a hosted project.\n"
    )


async def test_a_schema_that_is_too_old_ends_the_start(stack: LocalSupabase) -> None:
    versions = sorted(path.name.partition("_")[0] for path in module.MIGRATIONS.glob("*.sql"))
    newest = versions[-1]
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        taken = owner.execute(
            "delete from supabase_migrations.schema_migrations where version = %s returning statements, name", [newest]
        ).fetchone()
        assert taken is not None
        try:
            ended = await asyncio.to_thread(started, stack)
        finally:
            owner.execute(
                "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)",
                [newest, *taken],
            )
    assert ended.returncode == 2
    assert f"(it lacks the migration {newest}): apply supabase/migrations" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


async def test_a_project_that_is_away_for_a_moment_does_not_end_the_start(
    stack: LocalSupabase, owner: Person, tmp_path: Path
) -> None:
    async with Gateway(stack.url) as gateway:
        gateway.paths[""] = Answer(503, "upstream connect error")
        async with running_api(stack, tmp_path / "api.log", until="/health/live", SUPABASE_URL=gateway.url) as api:
            async with httpx.AsyncClient(base_url=api.url) as client:
                problem = assert_problem(await client.get("/health/ready"), 503, "supabase_unavailable")
                assert problem["detail"] == "SUPABASE_URL answers 503 at the moment."
                gateway.paths.clear()
                await until_ready(client)
            assert '"event": "supabase.unreachable"' in api.log_text
            assert "SUPABASE_URL answers 503 at the moment." in api.log_text


# ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def client(stack: LocalSupabase, project: Gateway, service: Api) -> AsyncGenerator[httpx.AsyncClient]:
    """A user's client; afterwards the project takes all keys again."""
    token = sign(claims_of(project.url, (await sign_up(stack)).id), stack.signing_key)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
        yield client
        project.keys.clear()
        await until_ready(client)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.1)


async def until_ready(client: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        return (await client.get("/health/ready")).status_code == 200

    await until(ready)


async def until_unready(client: httpx.AsyncClient) -> httpx.Response:
    """The answer of readiness once it is not 200."""
    answer: httpx.Response | None = None

    async def unready() -> bool:
        nonlocal answer
        answer = await client.get("/health/ready")
        return answer.status_code != 200

    await until(unready)
    assert answer is not None
    return answer


async def test_secret_key_that_is_revoked(stack: LocalSupabase, project: Gateway, client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client)
    project.keys[stack.secret_key] = Answer(401, INVALID_KEY)
    problem = assert_problem(await until_unready(client), 503, "supabase_unavailable")
    refused = "The Data API of SUPABASE_URL refuses SUPABASE_SECRET_KEY (401, Invalid API key)."
    assert problem["detail"] == refused

    messages = f"/v1/conversations/{conversation}/messages"
    for headers in (EVENT_STREAM, WAIT, {}):
        began = time.monotonic()
        answer = await client.post(messages, json={"content": "Hello"}, headers=headers)
        assert assert_problem(answer, 503, "supabase_unavailable")["detail"] == refused
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - began < QUICKLY
    document = await client.post("/v1/documents", json={"title": "Rules", "content": "Dogs are welcome."})
    assert_problem(document, 503, "supabase_unavailable")
    # nothing of it was begun, and what needs no service is there
    assert (await client.get(messages)).json()["items"] == []

    project.keys.clear()
    await until_ready(client)
    reply = await client.post(messages, json={"content": "Hello"}, headers=WAIT)
    assert (reply.status_code, reply.json()["status"]) == (200, "complete")


async def test_secret_key_that_is_revoked_is_noticed_with_nobody_asking(
    stack: LocalSupabase, project: Gateway, service: Api, client: httpx.AsyncClient
) -> None:
    """And said in the log."""
    conversation = await new_conversation(client)
    # not what the other tests' gateway says
    refused = "The Data API of SUPABASE_URL refuses SUPABASE_SECRET_KEY (401, Legacy API keys are disabled)."
    project.keys[stack.secret_key] = Answer(401, '{"message": "Legacy API keys are disabled"}')

    async def said() -> bool:
        return refused in service.log_text

    await until(said)
    lines = [json.loads(line) for line in service.log_text.splitlines()]
    line = next(line for line in lines if line.get("detail") == refused)
    assert (line["event"], line["setting"], line["level"]) == ("supabase.refused", "SUPABASE_SECRET_KEY", "error")
    answer = await client.post(f"/v1/conversations/{conversation}/messages", json={"content": "Hello"})
    assert_problem(answer, 503, "supabase_unavailable")


async def test_secret_key_that_is_revoked_in_the_middle_of_a_reply(
    stack: LocalSupabase, project: Gateway, client: httpx.AsyncClient
) -> None:
    """The reader is sent away instead of being left to wait for a minute; the reply ends as interrupted, once somebody
    may write that again."""
    conversation = await new_conversation(client)
    messages = f"/v1/conversations/{conversation}/messages"
    endless = {"content": script(tokens=3000, gap=0.02)}
    began = time.monotonic()
    async with reading(client, "POST", messages, json=endless) as reader:
        await reader.until("delta")
        project.keys[stack.secret_key] = Answer(401, INVALID_KEY)
        async with asyncio.timeout(30):
            await reader.until("reconnect")
    assert time.monotonic() - began < 30


async def test_publishable_key_that_is_revoked(
    stack: LocalSupabase, project: Gateway, client: httpx.AsyncClient
) -> None:
    """It is our key that is refused, and not the user's token."""
    conversation = await new_conversation(client)
    project.keys[stack.publishable_key] = Answer(401, INVALID_KEY)
    problem = assert_problem(await until_unready(client), 503, "supabase_unavailable")
    assert problem["detail"] == "Auth of SUPABASE_URL refuses SUPABASE_PUBLISHABLE_KEY (401, Invalid API key)."
    refused = "The Data API of SUPABASE_URL refuses SUPABASE_PUBLISHABLE_KEY (401, Invalid API key)."
    for method, path in (
        ("GET", "/v1/conversations"),
        ("GET", "/v1/usage"),
        ("POST", f"/v1/conversations/{conversation}/messages"),
    ):
        answer = await client.request(method, path, json={"content": "Hello"} if method == "POST" else None)
        assert assert_problem(answer, 503, "supabase_unavailable")["detail"] == refused
    project.keys.clear()
    await until_ready(client)


async def test_readiness_is_checked_at_most_once_a_second(project: Gateway, client: httpx.AsyncClient) -> None:
    await until_ready(client)
    before, began = project.calls.total(), time.monotonic()
    await asyncio.gather(*(client.get("/health/ready") for _ in range(200)))
    # two calls a check; recovery and indexing have theirs
    assert project.calls.total() - before <= 4 * (time.monotonic() - began + 2)


@pytest.fixture
async def gateway(stack: LocalSupabase) -> AsyncGenerator[Gateway]:
    async with Gateway(stack.url) as running:
        yield running


# ── what others answer ───────────────────────────────────────────────────────────────────────────────────────────


async def checked(gateway: Gateway, stack: LocalSupabase, *, jwt_secret: str | None = None) -> AppError | None:
    """What the check at the start finds."""
    supabase = open_supabase(gateway.url, stack.publishable_key, stack.secret_key)
    project = Project(supabase, publishable_key=stack.publishable_key, jwt_secret=jwt_secret)
    try:
        await project.check_all()
    except AppError as error:
        return error
    finally:
        await supabase.aclose()
    return None


SETTINGS, TABLE, RPC, JWKS = "/auth/v1/settings", "/rest/v1/conversations", "/rest/v1/rpc", "/auth/v1/.well-known"
UNDECODABLE = Answer(401, json.dumps({"code": "PGRST301", "message": "Expected 3 parts in JWT; got 1"}))


@pytest.mark.parametrize(
    ("paths", "setting", "words"),
    [
        # a hosted gateway says it in JSON or not at all, a self-hosted one in other words
        ({"": Answer(401, INVALID_KEY)}, "SUPABASE_PUBLISHABLE_KEY", "401, Invalid API key"),
        ({"": Answer(401)}, "SUPABASE_PUBLISHABLE_KEY", "(401)"),
        ({RPC: Answer(401)}, "SUPABASE_SECRET_KEY", "(401)"),
        ({RPC: Answer(401, '{"message": "Invalid authentication credentials"}')}, "SUPABASE_SECRET_KEY", "credentials"),
        ({RPC: Answer(401, '{"code": 401, "message": "No API key found"}')}, "SUPABASE_SECRET_KEY", "No API key found"),
        ({SETTINGS: Answer(403, '{"message": "forbidden"}')}, "SUPABASE_PUBLISHABLE_KEY", "403, forbidden"),
        # `supabase start` looks at keys in the Data API alone
        ({RPC: UNDECODABLE}, "SUPABASE_SECRET_KEY", "Expected 3 parts in JWT"),
        ({TABLE: UNDECODABLE}, "SUPABASE_PUBLISHABLE_KEY", "Expected 3 parts in JWT"),
        # a publishable key in the place of the secret one
        ({RPC: Answer(401, '{"code": "42501", "message": "no"}')}, "SUPABASE_SECRET_KEY", "as a publishable key"),
        # a key that is quoted is left out
        ({RPC: Answer(401, '{"message": "Unknown key sb_secret_abc"}')}, "SUPABASE_SECRET_KEY", "Unknown key [key]"),
        # other addresses
        ({"": HTML}, "SUPABASE_URL", "not the address of a Supabase project"),
        ({"": Answer(401, "<h1>Who are you?</h1>")}, "SUPABASE_URL", "answered with 401"),
        ({"": Answer(404, "404 page not found")}, "SUPABASE_URL", "answered with 404"),
        ({"": Answer(301, "", {"Location": "https://x.supabase.co/a"})}, "SUPABASE_URL", "to https://x.supabase.co."),
        ({RPC: Answer(404, '{"code": "PGRST202", "message": "no"}')}, "SUPABASE_URL", "apply supabase/migrations"),
        # HS256
        ({JWKS: NO_KEYS}, "SUPABASE_JWT_SECRET", "is not set"),
        ({JWKS: Answer(404)}, "SUPABASE_JWT_SECRET", "is not set"),
    ],
)
async def test_refusal(
    stack: LocalSupabase, gateway: Gateway, paths: dict[str, Answer], setting: str, words: str
) -> None:
    gateway.paths |= paths
    refusal = await checked(gateway, stack)
    assert isinstance(refusal, SupabaseRefused)
    assert refusal.setting == setting
    assert setting in str(refusal)
    assert words in str(refusal)
    assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(500), "answers 500"),
        (Answer(503, '{"message": "name resolution failed"}'), "answers 503"),
        (Answer(540, "Project paused"), "answers 540"),
        (Answer(429, '{"message": "slow down"}'), "answers 429"),
        (Answer(403, "<html>blocked</html>"), "answers 403"),
    ],
)
async def test_what_may_be_another_answer_in_a_moment_is_no_refusal(
    stack: LocalSupabase, gateway: Gateway, answer: Answer, words: str
) -> None:
    gateway.paths[""] = answer
    found = await checked(gateway, stack)
    assert isinstance(found, SupabaseUnavailable)
    assert not isinstance(found, SupabaseRefused)
    assert words in str(found)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}", "no server answers there"),
        ("http://no-such-host.invalid", "its host is not known"),
    ],
)
async def test_nobody_there_is_no_refusal(stack: LocalSupabase, url: str, words: str) -> None:
    nowhere = Gateway("", url=url.format(port=free_port()))
    found = await checked(nowhere, stack)
    assert isinstance(found, SupabaseUnavailable)
    assert not isinstance(found, SupabaseRefused)
    assert words in str(found)


async def test_a_project_that_never_answers_is_not_waited_for(stack: LocalSupabase) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        began = time.monotonic()
        found = await checked(Gateway("", url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), stack)
        assert isinstance(found, SupabaseUnavailable)
        assert "no answer within 2 s" in str(found)
        assert time.monotonic() - began < 2 * module.ANSWER_SECONDS + QUICKLY
    finally:
        server.close()


async def test_all_that_is_refused_is_named(stack: LocalSupabase, gateway: Gateway) -> None:
    gateway.keys |= dict.fromkeys((stack.publishable_key, stack.secret_key), Answer(401, INVALID_KEY))
    refusal = str(await checked(gateway, stack))
    assert "SUPABASE_PUBLISHABLE_KEY" in refusal
    assert "SUPABASE_SECRET_KEY" in refusal


@pytest.fixture(scope="module")
def hs256(stack: LocalSupabase) -> Iterator[str]:
    """The address of a project that signs its tokens with a secret."""
    command = [str(NODE), str(Path(__file__).parent / "lite.mjs")]
    values = [stack.superuser_url, SECRET_HS256, stack.publishable_key, stack.secret_key]
    with subprocess.Popen(
        [*command, *values], cwd=ROOT, env=tool_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.mark.parametrize(
    ("secret", "refusal"),
    [
        (SECRET_HS256, None),
        (
            "another-secret-of-at-least-thirty-two-characters",
            "The Data API of SUPABASE_URL refuses SUPABASE_JWT_SECRET (401, No suitable key or wrong key type).",
        ),
        (
            None,
            "SUPABASE_JWT_SECRET is not set, and the Auth of SUPABASE_URL publishes no keys: "
            "it signs its access tokens with that secret.",
        ),
    ],
)
async def test_secret_of_a_project_that_signs_with_it(
    stack: LocalSupabase, hs256: str, secret: str | None, refusal: str | None
) -> None:
    """The Data API is shown a token that is signed with it."""
    found = await checked(Gateway("", url=hs256), stack, jwt_secret=secret)
    assert (None if found is None else str(found)) == refusal


async def test_secret_that_is_refused_is_named_though_the_project_publishes_keys(
    stack: LocalSupabase, gateway: Gateway
) -> None:
    """With it, whoever knows it could sign tokens for any user."""
    refusal = await checked(gateway, stack, jwt_secret="super-secret-jwt-token-with-at-least-32-characters-long")
    assert isinstance(refusal, SupabaseRefused)
    assert refusal.setting == "SUPABASE_JWT_SECRET"
    assert str(refusal).startswith("The Data API of SUPABASE_URL refuses SUPABASE_JWT_SECRET (401, ")


async def test_a_project_that_was_migrated_in_another_way(stack: LocalSupabase, gateway: Gateway) -> None:
    """With the SQL editor, or among another application's migrations: its record says nothing of ours."""
    for body in ("null", '["20200101000000"]'):
        gateway.paths["/rest/v1/rpc/applied_migrations"] = Answer(200, body)
        assert await checked(gateway, stack) is None
