"""`python -m app check`: a configuration in which all is well, each kind of one that is not, and what is printed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import fakeredis
import psycopg
import pytest

from app.check import command, machine, traces
from app.store import project as store
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.check.conftest import Configuration, Realtime
from tests.support.gateway import INVALID_KEY, Answer
from tests.support.service import ROOT

SETTINGS, JWKS, TABLE = "/auth/v1/settings", "/auth/v1/.well-known/jwks.json", "/rest/v1/conversations"
AUTH_SETTINGS = '{"external": {"email": true}}'
CANARIES = ("sb_publishable_canary7", "sb_secret_canary7", "sk-canary-0123456789", "canary-password")


async def test_all_is_well(configuration: Configuration, private_realtime: Realtime) -> None:
    async with private_realtime() as url:
        configuration.gateway.realtime = url
        report = await configuration.report(PARLEY_PORT=str(free_port()), WEB="off")
    # other tests' passages have vectors of other models
    doubtful = [one for one in report.checks if one.status != "ok" and one.name != "supabase.passages"]
    assert doubtful == []
    assert report.status != "failed"
    assert [one.name for one in report.checks] == [
        "settings",
        "supabase.publishable_key",
        "supabase.secret_key",
        "supabase.schema",
        "supabase.signing_keys",
        "supabase.clock",
        "supabase.realtime",
        "supabase.passages",
        "provider.openai",
        "embeddings",
        "origins",
        "proxies",
        "port",
        "metrics",
        "open_files",
        "web",
        "traces",
    ]
    realtime = next(one for one in report.checks if one.name == "supabase.realtime")
    assert realtime.detail == "Realtime answers, for private channels only, and refuses strangers"


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_wrong_setting_is_named_and_the_rest_is_checked(configuration: Configuration) -> None:
    report = await configuration.report(
        PARLEY_PORT="80000", MODERATION="gemini", TITLES="maybe", CORS_ALLOW_ORIGINS="app", REDIS_URL="localhost"
    )
    wrong = [one.detail.split()[0] for one in report.checks if one.name == "settings"]
    assert sorted(wrong) == ["CORS_ALLOW_ORIGINS", "MODERATION", "PARLEY_PORT", "REDIS_URL", "TITLES"]
    assert report.status == "failed"
    others = {one.name: one.status for one in report.checks}
    assert others["supabase.schema"] == "ok"
    assert others["provider.openai"] == "ok"


@pytest.mark.parametrize("name", ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize("between", [" ", "\n", "\t"])
async def test_a_key_has_no_blank_and_no_line_end(configuration: Configuration, name: str, between: str) -> None:
    finding = await configuration.finding("settings", **{name: f"sk-canary{between}0123456789"})
    assert finding.status == "failed"
    assert finding.detail == f"{name} has a character that no key can have: it must be ASCII without blanks"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SUPABASE_URL": ""}, "SUPABASE_URL is not set"),
        ({"SUPABASE_URL": "ftp://x"}, "SUPABASE_URL must"),
        ({"SUPABASE_SECRET_KEY": ""}, "SUPABASE_SECRET_KEY is not set"),
        (
            {"SUPABASE_PUBLISHABLE_KEY": "sb_secret_x", "SUPABASE_SECRET_KEY": "sb_publishable_x"},
            "SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY are swapped",
        ),
    ],
)
async def test_without_a_project_its_checks_are_skipped(
    configuration: Configuration, changes: dict[str, str], named: str
) -> None:
    report = await configuration.report(**changes)
    assert [one.detail[: len(named)] for one in report.checks if one.name == "settings"] == [named]
    skipped = {(one.status, one.detail) for one in report.checks if one.name.startswith("supabase.")}
    wrong = " and ".join(name for name in changes if name.startswith("SUPABASE_"))
    assert skipped == {("skipped", f"not checked: {wrong} must be set right first")}
    assert next(one.status for one in report.checks if one.name == "provider.openai") == "ok"


async def test_settings_that_are_probably_mistakes(configuration: Configuration) -> None:
    finding = await configuration.finding("settings", ANTHROPIC_API_KEYS="sk")
    assert (finding.status, finding.detail) == (
        "warning",
        "ANTHROPIC_API_KEYS in the environment is not a setting of Parley: did you mean ANTHROPIC_API_KEY?",
    )
    finding = await configuration.finding("settings", GEMINI_MODEL="gemini-3.8-flash")
    assert finding.status == "warning"
    assert finding.detail == "GEMINI_MODEL has no effect: GOOGLE_AI_API_KEY is not set"


async def test_a_file_that_is_not_read_is_mentioned(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SUPABASE_URL=http://x\n")
    monkeypatch.setattr(command, "ENV_FILE", tmp_path / ".env")
    finding = await configuration.finding("settings", SUPABASE_URL="")
    assert finding.todo is not None
    assert f"{tmp_path / '.env'} is not read: load it with" in finding.todo


# ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("paths", "name", "status", "words"),
    [
        (
            {SETTINGS: Answer(401, INVALID_KEY)},
            "publishable_key",
            "failed",
            "Auth of SUPABASE_URL refuses SUPABASE_PUB",
        ),
        ({SETTINGS: Answer(404)}, "publishable_key", "failed", "SUPABASE_URL is not the address of a Supabase project"),
        (
            {TABLE: Answer(401, INVALID_KEY)},
            "publishable_key",
            "failed",
            "The Data API of SUPABASE_URL refuses SUPABASE_P",
        ),
        ({"": Answer(540, "paused")}, "publishable_key", "failed", "SUPABASE_URL answers 540 at the moment"),
        ({"/rest/v1/rpc": Answer(401, INVALID_KEY)}, "secret_key", "failed", "refuses SUPABASE_SECRET_KEY (401"),
        (
            {"/rest/v1/rpc": Answer(401, INVALID_KEY)},
            "schema",
            "failed",
            "cannot be read without a SUPABASE_SECRET_KEY",
        ),
        (
            {"/rest/v1/rpc": Answer(404, '{"code": "PGRST202", "message": "no"}')},
            "schema",
            "failed",
            "it lacks the function applied_migrations",
        ),
        ({"/rest/v1/rpc/applied_migrations": Answer(200, "null")}, "schema", "warning", "none of Parley's migrations"),
        ({JWKS: Answer(200, '{"keys": []}')}, "signing_keys", "failed", "SUPABASE_JWT_SECRET is not set"),
        (
            {JWKS: Answer(200, '{"keys": [{"kty": "OKP", "alg": "EdDSA"}]}')},
            "signing_keys",
            "failed",
            "signs with EdDSA",
        ),
        ({"/realtime/v1": Answer(503)}, "realtime", "failed", "Realtime does not open a connection: it answers 503"),
        ({"/realtime/v1": Answer(401)}, "realtime", "failed", "Realtime does not open a connection: it answers 401"),
    ],
)
async def test_what_a_project_may_lack(
    configuration: Configuration, paths: dict[str, Answer], name: str, status: str, words: str
) -> None:
    configuration.gateway.paths |= paths
    finding = await configuration.finding(f"supabase.{name}")
    assert finding.status == status
    assert words in finding.detail


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "<h1>Not Found</h1>"),
        Answer(200, "<h1>Welcome</h1>"),
        Answer(401, "Who are you?"),
        Answer(200, "{}"),
    ],
)
async def test_an_address_of_another_server_is_told_alone(configuration: Configuration, answer: Answer) -> None:
    configuration.gateway.paths[""] = answer
    report = await configuration.report()
    first, *others = [one for one in report.checks if one.name.startswith("supabase.")]
    assert first.status == "failed"
    assert first.detail.startswith("SUPABASE_URL is not the address of a Supabase project: ")
    why = "not checked: nothing at SUPABASE_URL looks like a Supabase project"
    assert {(one.status, one.detail) for one in others} == {("skipped", why)}


async def test_each_missing_migration_is_named(configuration: Configuration) -> None:
    versions = sorted(path.name.partition("_")[0] for path in store.MIGRATIONS.glob("*.sql"))
    applied = ["20200101000000", *versions[:-2]]
    configuration.gateway.paths["/rest/v1/rpc/applied_migrations"] = Answer(200, json.dumps(applied))
    finding = await configuration.finding("supabase.schema")
    assert finding.status == "failed"
    assert finding.detail == f"2 of {len(versions)} migrations are missing: {versions[-2]}, {versions[-1]}"
    assert finding.todo is not None
    assert "npx supabase db push" in finding.todo


async def test_a_legacy_key_is_accepted_with_a_warning(configuration: Configuration) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"role": "anon"}).encode()).decode().rstrip("=")
    configuration.gateway.paths |= {SETTINGS: Answer(200, AUTH_SETTINGS), TABLE: Answer(200, "[]")}
    finding = await configuration.finding("supabase.publishable_key", SUPABASE_PUBLISHABLE_KEY=f"eyJh.{claims}.c2ln")
    assert finding.status == "warning"
    assert "legacy key (anon)" in finding.detail


async def test_a_secret_beside_published_keys(configuration: Configuration) -> None:
    secret = "super-secret-jwt-token-with-at-least-32-characters-long"
    finding = await configuration.finding("supabase.signing_keys", SUPABASE_JWT_SECRET=secret)
    assert finding.status == "failed"
    assert "refuses SUPABASE_JWT_SECRET" in finding.detail
    configuration.gateway.paths[TABLE] = Answer(403, '{"code": "42501", "message": "permission denied"}')
    finding = await configuration.finding("supabase.signing_keys", SUPABASE_JWT_SECRET=secret)
    assert finding.status == "warning"
    assert "whoever knows it can sign in as anybody" in finding.detail


@pytest.mark.parametrize(
    ("seconds", "status", "words"),
    [
        (0, "ok", "is right"),
        (-6, "warning", "ahead of Supabase's"),
        (90, "failed", "behind Supabase's: new tokens are refused"),
        (-90, "failed", "ahead of Supabase's: tokens expire too early"),
        (None, "warning", "have no date"),
    ],
)
async def test_clocks(configuration: Configuration, seconds: int | None, status: str, words: str) -> None:
    now = datetime.now(UTC) + timedelta(seconds=seconds or 0)
    date = "the day before yesterday" if seconds is None else format_datetime(now, usegmt=True)
    configuration.gateway.paths[SETTINGS] = Answer(200, AUTH_SETTINGS, {"Date": date})
    finding = await configuration.finding("supabase.clock")
    assert finding.status == status
    assert words in finding.detail


async def test_public_channels_are_worth_a_warning(configuration: Configuration) -> None:
    finding = await configuration.finding("supabase.realtime")
    assert finding.status == "warning"
    assert "allows public channels" in finding.detail


async def test_private_topics_that_are_open_to_anybody(configuration: Configuration, stack: LocalSupabase) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        owner.execute("create policy everybody on realtime.messages for select to anon using (true)")
        try:
            finding = await configuration.finding("supabase.realtime")
        finally:
            owner.execute("drop policy everybody on realtime.messages")
    assert finding.status == "failed"
    assert "lets anybody join the private topic of a user" in finding.detail


async def test_no_check_waits_longer_than_it_may(configuration: Configuration) -> None:
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    nobody = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    configuration.gateway.realtime = nobody
    started = time.monotonic()
    try:
        report = await configuration.report(seconds=1, OPENAI_BASE_URL=f"{nobody}/v1")
    finally:
        over.set()
        server.close()
    assert time.monotonic() - started < 30
    found = {one.name: (one.status, one.detail) for one in report.checks}
    assert found["supabase.realtime"] == ("failed", "no answer within 1 s")
    assert found["provider.openai"] == ("failed", "no answer within 1 s")
    assert found["supabase.schema"][0] == "ok"


# ── providers ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("listing_status", "settings", "status", "words"),
    [
        (401, {}, "failed", "it refuses OPENAI_API_KEY (status 401)"),
        (403, {}, "warning", "OPENAI_API_KEY may not list models (status 403)"),
        (404, {}, "warning", "it does not list models (status 404): either it has no such list, or OPENAI_BASE_URL is"),
        (500, {}, "failed", "it cannot list its models (ServerError) (status 500)"),
        (200, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "failed", "it cannot list its models (Unreachable)"),
        (200, {"OPENAI_MODEL": "gpt-9"}, "failed", "it lists 1 model, and gpt-9 is not among them"),
        (200, {}, "ok", "its key is accepted, it lists 1 model, scripted-1 among them"),
    ],
)
async def test_a_provider(
    configuration: Configuration, listing_status: int, settings: dict[str, str], status: str, words: str
) -> None:
    configuration.upstream.listing_status = listing_status
    finding = await configuration.finding("provider.openai", **settings)
    assert (finding.status, words in finding.detail) == (status, True), finding
    assert configuration.upstream.calls == []


async def test_a_reply_settles_what_a_list_cannot(configuration: Configuration) -> None:
    configuration.upstream.listing_status = 403
    finding = await configuration.finding("provider.openai", reply=True)
    assert finding.status == "ok"
    assert finding.detail.startswith("scripted-1 replies")
    configuration.upstream.script = {"status": 404}
    finding = await configuration.finding("provider.openai", reply=True)
    assert (finding.status, finding.todo) == ("failed", "set OPENAI_MODEL to one that it has")
    configuration.upstream.script = {"tokens": 0}
    finding = await configuration.finding("provider.openai", reply=True)
    assert finding.status == "warning"


async def test_no_provider_at_all(configuration: Configuration) -> None:
    finding = await configuration.finding("provider.demo", OPENAI_API_KEY="", OPENAI_BASE_URL="", OPENAI_MODEL="")
    assert finding.status == "warning"
    assert "the offline demo answers" in finding.detail


async def test_vectors(configuration: Configuration) -> None:
    finding = await configuration.finding("embeddings", OPENAI_API_KEY="", GOOGLE_AI_API_KEY="g")
    assert finding.status == "warning"
    assert "local is used, since text-embedding-3-small needs OPENAI_API_KEY" in finding.detail
    finding = await configuration.finding("embeddings", EMBEDDING_MODEL="nobodys", OLLAMA_BASE_URL="")
    assert finding.status in ("failed", "warning")
    configuration.upstream.embedding_width = 3072
    finding = await configuration.finding("embeddings")
    assert finding.status == "failed"
    assert "more than the 1536 numbers" in finding.detail
    configuration.upstream.embedding_status = 404
    finding = await configuration.finding("embeddings")
    assert finding.status == "failed"
    assert finding.detail.startswith("it does not embed with text-embedding-3-small")


async def test_passages_of_another_model(configuration: Configuration) -> None:
    body = {"documents": 3, "passages": 40, "documents_left": 1, "passages_left": 9}
    configuration.gateway.paths["/rest/v1/rpc/reembed_progress"] = Answer(200, json.dumps(body))
    finding = await configuration.finding("supabase.passages")
    assert finding.status == "warning"
    assert finding.detail.startswith("9 of 40 passages have vectors of another model than text-embedding-3-small")


async def test_moderation(configuration: Configuration) -> None:
    finding = await configuration.finding("moderation", MODERATION="openai")
    assert (finding.status, finding.detail) == ("ok", "openai moderates")
    finding = await configuration.finding("moderation", MODERATION="openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert finding.status == "failed"


# ── this machine ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "settings", "status", "words"),
    [
        ("origins", {"WEB": "on"}, "ok", "no pages but those of the web client that it serves"),
        ("origins", {"CORS_ALLOW_ORIGINS": "*"}, "warning", "pages of any site"),
        ("origins", {"CORS_ALLOW_ORIGINS": "null"}, "warning", "pages of any site"),
        ("origins", {"CORS_ALLOW_ORIGINS": "http://app.example.com"}, "warning", "http://app.example.com"),
        ("origins", {"CORS_ALLOW_ORIGINS": "https://a.example.com,http://localhost:*"}, "ok", "https://a.example.com"),
        ("proxies", {}, "ok", "no proxy is trusted"),
        ("proxies", {"PARLEY_HOST": "0.0.0.0"}, "warning", "behind a proxy, all users have its address"),  # noqa: S104
        ("proxies", {"FORWARDED_ALLOW_IPS": "*"}, "warning", "is the last one of X-Forwarded-For, whoever sends it"),
        ("proxies", {"FORWARDED_ALLOW_IPS": "10.0.0.7,::/0"}, "warning", "FORWARDED_ALLOW_IPS is 10.0.0.7, ::/0: "),
        ("proxies", {"FORWARDED_ALLOW_IPS": "10.0.0.0/8,::1"}, "ok", "10.0.0.0/8, ::1 is trusted"),
        ("port", {"PARLEY_HOST": "192.0.2.1"}, "failed", "this process may not listen there (EADDRNOTAVAIL)"),
        ("metrics", {}, "ok", "METRICS_PORT is not set"),
        ("metrics", {"METRICS_PORT": "9464", "METRICS_HOST": "192.0.2.1"}, "failed", "may not listen there"),
        ("web", {"WEB": "off"}, "ok", "is not served"),
    ],
)
async def test_this_machine(
    configuration: Configuration, name: str, settings: dict[str, str], status: str, words: str
) -> None:
    # nothing else is asked in these tests
    configuration.gateway.paths[""] = Answer(404)
    finding = await configuration.finding(name, **settings)
    assert (finding.status, words in finding.detail) == (status, True), finding


async def test_a_port_that_is_in_use(configuration: Configuration) -> None:
    configuration.gateway.paths[""] = Answer(404)
    taken = configuration.gateway.url.rpartition(":")[2]
    finding = await configuration.finding("port", PARLEY_PORT=taken)
    assert finding.status == "warning"
    assert f"port {taken}, is in use" in finding.detail


async def test_the_way_to_supabase_is_said_without_its_password(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://name:canary-password@127.0.0.2:9")  # pragma: allowlist secret
    monkeypatch.setenv("no_proxy", "")
    finding = await configuration.finding("proxies")
    assert finding.detail == "no proxy is trusted; calls of Supabase take the proxy 127.0.0.2"


async def test_few_open_files_and_a_client_that_is_not_built(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration.gateway.paths[""] = Answer(404)
    monkeypatch.setattr(machine, "FEW_FILES", 2**40)
    monkeypatch.setattr(machine, "is_built", lambda: False)
    report = await configuration.report(WEB="on")
    found = {one.name: one.status for one in report.checks}
    assert (found["open_files"], found["web"]) == ("warning", "warning")


@pytest.fixture
def redis_port() -> Iterator[int]:
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


async def test_redis(configuration: Configuration, redis_port: int) -> None:
    configuration.gateway.paths[""] = Answer(404)
    finding = await configuration.finding("redis", REDIS_URL=f"redis://127.0.0.1:{redis_port}/0")
    assert finding.status == "ok"
    finding = await configuration.finding("redis", REDIS_URL="redis://:canary-password@127.0.0.1:9/0")
    assert finding.status == "failed"
    assert finding.detail.startswith("Redis does not answer at REDIS_URL")


# ── traces ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "foo"}, ["OTEL_EXPORTER_OTLP_ENDPOINT must be an http://"]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ["OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf"],
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, ["OTEL_TRACES_EXPORTER must be otlp or none"]),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
                "OTEL_TRACES_SAMPLER": "xx",
                "OTEL_BSP_SCHEDULE_DELAY": "abc",
            },
            ["OTEL_TRACES_SAMPLER must be one of", "OTEL_BSP_SCHEDULE_DELAY must be a whole number"],
        ),
    ],
)
async def test_settings_of_the_traces_that_end_the_start(
    configuration: Configuration, settings: dict[str, str], named: list[str]
) -> None:
    configuration.gateway.paths[""] = Answer(404)
    report = await configuration.report(**settings)
    found = [one for one in report.checks if one.name == "settings"]
    assert {one.status for one in found} == {"failed"}
    assert [one.detail.startswith(said) for one, said in zip(found, named, strict=True)] == [True] * len(named), found
    assert next(one.status for one in report.checks if one.name == "traces") == "skipped"


async def traced(monkeypatch: pytest.MonkeyPatch, url: str, **settings: str) -> tuple[str, str]:
    """What the check of the traces finds. The SDK reads the environment of this process."""
    for name, value in (settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": url}).items():
        monkeypatch.setenv(name, value)
    finding = await traces.traces(os.environ)
    return finding.status, finding.detail


async def test_the_receiver_of_the_traces(monkeypatch: pytest.MonkeyPatch, configuration: Configuration) -> None:
    monkeypatch.setattr(traces, "RECEIVER_SECONDS", 30.0)
    receiver = configuration.gateway
    receiver.keys = {"right": Answer(200), "wrong": Answer(401)}
    where = receiver.url.removeprefix("http://")
    found = await traced(monkeypatch, receiver.url, OTEL_EXPORTER_OTLP_HEADERS="apikey=right")
    assert found == ("ok", f"the receiver of the traces, {where}, takes them")
    found = await traced(monkeypatch, receiver.url, OTEL_EXPORTER_OTLP_HEADERS="apikey=wrong")
    assert found == ("warning", f"the receiver of the traces, {where}, answers 401")
    assert receiver.calls == {"/v1/traces": 2}


async def test_a_receiver_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "RECEIVER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        found = await traced(monkeypatch, f"http://{where}")
        assert found == ("warning", f"the receiver of the traces, {where}, does not answer (ReadTimeout)")
    found = await traced(monkeypatch, f"http://{where}")
    assert found == ("warning", f"the receiver of the traces, {where}, does not answer (ConnectionError)")


async def test_what_the_sdk_alone_refuses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await traced(monkeypatch, "http://127.0.0.1:9", OTEL_SPAN_EVENT_COUNT_LIMIT="x")
    assert found[0] == "failed"
    assert "OTEL_SPAN_EVENT_COUNT_LIMIT must be a non-negative integer" in found[1]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("OTEL_TRACES_SAMPLER", "xx", "OTEL_TRACES_SAMPLER must be one of always_on"),
        (
            "OTEL_SPAN_EVENT_COUNT_LIMIT",
            "x",
            "OpenTelemetry's SDK refuses a variable (ValueError): OTEL_SPAN_EVENT_COUN",
        ),
    ],
)
async def test_the_start_ends_with_one_line(configuration: Configuration, name: str, text: str, said: str) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: text, "PARLEY_PORT": str(free_port())}
    ended = await asyncio.to_thread(run, **(configuration.environ | settings))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith(f"parley: {said}")


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=90, check=False)


async def test_the_command_prints_a_line_for_each_check_and_no_key(configuration: Configuration) -> None:
    keys = dict(zip(("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"), CANARIES[:2], strict=True))
    redis_url = "redis://:canary-password@127.0.0.1:9/0"
    configuration.upstream.listing_status = 401
    environ = configuration.environ | keys | {"REDIS_URL": redis_url, "PARLEY_HOST": "0.0.0.0"}  # noqa: S104
    ended = await asyncio.to_thread(run, "check", **environ)
    assert ended.returncode == 2
    assert ended.stderr == ""
    *findings, counts = ended.stdout.splitlines()
    assert {line.split()[0] for line in findings} == {"ok", "warning", "FAILED"}
    assert all(" To do: " in line for line in findings if line.startswith("warning"))
    assert counts.endswith(f"{sum(line.startswith('FAILED') for line in findings)} FAILED")
    assert not [canary for canary in CANARIES if canary in ended.stdout]


async def test_the_command_for_machines(configuration: Configuration) -> None:
    ended = await asyncio.to_thread(run, "check", "--json", "--timeout", "30", **configuration.environ)
    report = json.loads(ended.stdout)
    # Realtime of this stack allows public channels
    assert (ended.returncode, report["status"]) == (1, "warning")
    first = report["checks"][1]
    assert (first["name"], first["status"]) == ("supabase.publishable_key", "ok")
    assert isinstance(first["milliseconds"], int)


@pytest.mark.parametrize("arguments", [("chekc",), ("check", "--timeout", "0"), ("check", "--jsn")])
async def test_arguments_that_are_wrong(arguments: tuple[str, ...]) -> None:
    ended = await asyncio.to_thread(run, *arguments)
    assert ended.returncode == 2
    assert "usage: python -m app" in ended.stderr
    assert ended.stdout == ""


async def test_help() -> None:
    ended = await asyncio.to_thread(run, "--help")
    assert (ended.returncode, "python -m app check" in ended.stdout) == (0, True)
    ended = await asyncio.to_thread(run, "check", "--help")
    assert (ended.returncode, "exit code is 0 when all is well" in " ".join(ended.stdout.split())) == (0, True)
