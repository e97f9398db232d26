"""The metrics of a process: what happened is counted, once, under labels that are bounded, on a port of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.observe import LEVELS
from app.providers.registry import PROVIDERS
from app.routing.catalog import Catalog
from app.settings import SettingsError, load_settings
from app.store.replies import Charge
from app.telemetry.exposition import text_of
from app.telemetry.measuring import Measured
from app.telemetry.metrics import MOST_OTHERS, OTHER, Metrics, Models
from app.values import FinalState
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from scripts.metrics import shown
from tests.support import upstream as scripted
from tests.support.callers import Connection
from tests.support.client import new_conversation, person_client, reading, script, turn
from tests.support.documents import put_in
from tests.support.limits import kept_settings, owned
from tests.support.replica_client import eventually
from tests.support.required_settings import REQUIRED
from tests.support.scrapes import Scrape, scrape
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.sources import ROOT
from tests.support.upstream import Upstream

__all__ = ["kept_settings", "owned"]

pytestmark = pytest.mark.usefixtures("kept_settings")
TURNS = "parley_turns_total"
PRICE = 3_000_000
"""Micro-dollars for a million tokens of either kind."""


class Worked:
    """An API that has done this work, and what Prometheus reads of it."""

    def __init__(self, api: Api, url: str, read: Scrape, person: Person, usages: list[dict[str, int]]) -> None:
        self.api, self.url, self.read, self.person, self.usages = api, url, read, person, usages


@pytest.fixture(scope="module")
async def worked(
    stack: LocalSupabase, upstream: Upstream, owned: Connection, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Worked]:
    port = free_port()
    settings = {
        "OPENAI_API_KEY": "test-key-of-the-metrics",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "METRICS_PORT": str(port),
        "RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "1",
        "LOG_LEVEL": "error",
    }
    owned.execute(
        "insert into private.model_prices values ('openai', %s, %s, %s, %s)", [scripted.MODEL, PRICE, PRICE, PRICE]
    )
    url = f"http://127.0.0.1:{port}/metrics"
    async with running_api(stack, tmp_path_factory.mktemp("metrics") / "api.log", **settings) as api:
        person = await sign_up(stack)
        async with person_client(api, person) as client:
            usages = await work(client)
        async with httpx.AsyncClient(base_url=api.url) as nobody:
            assert [(await nobody.get("/v1/models")).status_code for _ in range(2)] == [401, 429]
        await eventually(lambda: all_told(url), within=60)
        yield Worked(api, url, await scrape(url), person, usages)
    owned.execute("delete from private.model_prices where model = %s", [scripted.MODEL])


async def work(client: httpx.AsyncClient) -> list[dict[str, int]]:
    """Two whole turns with a document beside them, a failed one, a stopped one and a completion. What the whole ones
    have used."""
    await put_in(client, "The kitchen closes at ten.")
    conversation = await new_conversation(client)
    whole = [await turn(client, conversation, script(tokens=tokens)) for tokens in (3, 5)]
    failed = await turn(client, conversation, script(status=400))
    assert failed["status"] == "failed"
    endless = {"content": script(tokens=1000, gap=0.02)}
    async with reading(client, "POST", f"/v1/conversations/{conversation}/messages", json=endless) as reader:
        await reader.until("delta")
        message = reader.transcript.events[0].data["message_id"]
        assert (await client.post(f"/v1/messages/{message}/stop")).status_code == 200
        await reader.to_end()
    body = {"model": scripted.MODEL, "messages": [{"role": "user", "content": script(tokens=7)}]}
    completion = await client.post("/openai/v1/chat/completions", json=body)
    assert completion.status_code == 200
    refused = await client.post(f"/v1/conversations/{conversation}/messages", json={"content": "?", "model": "none"})
    assert refused.status_code == 422
    return [*(reply["usage"] for reply in whole), completion.json()["usage"]]


async def all_told(url: str) -> bool:
    """What is told after the answer was sent, and measured in the background, is there."""
    read = await scrape(url)
    return read.total(TURNS) == 5 and bool(read.of("parley_index_jobs"))


def test_turns_are_counted_by_their_end(worked: Worked) -> None:
    model = {"provider": "openai", "model": scripted.MODEL}
    counted = {(one.labels["kind"], one.labels["end"]): one.value for one in worked.read.of(TURNS, **model)}
    assert counted == {
        ("turn", "complete"): 2,
        ("turn", "failed"): 1,
        ("turn", "stopped"): 1,
        ("completion", "complete"): 1,
    }


def test_times_are_those_of_the_turns_that_had_them(worked: Worked) -> None:
    """The failed one has no text; its refusal was a sign of life of nobody."""
    read = worked.read
    assert read.total("parley_turn_seconds_count") == 5
    assert read.total("parley_turn_first_token_seconds_count") == 4
    assert read.total("parley_turn_first_sign_seconds_count", provider="openai") == 4
    assert read.total("parley_turn_begin_seconds_count") == 5
    assert read.total("parley_turn_retrieval_seconds_count") == 4
    assert 0 < read.total("parley_turn_first_token_seconds_sum") <= read.total("parley_turn_seconds_sum")


def test_tokens_and_cost_are_those_that_were_charged(worked: Worked, owned: Connection) -> None:
    """The ledger has the same; of the stopped turn the provider said nothing, so its tokens are an estimate."""
    row = owned.execute(
        "select sum(prompt_tokens), sum(completion_tokens), sum(cost_micro_usd) from private.usage_ledger "
        "where user_id = %s and model = %s",
        [worked.person.id, scripted.MODEL],
    ).fetchone()
    assert row is not None
    read, model = worked.read, {"kind": "reply", "provider": "openai", "model": scripted.MODEL}
    assert read.total("parley_tokens_total", direction="input", **model) == row[0]
    assert read.total("parley_tokens_total", direction="output", **model) == row[1]
    assert read.total("parley_cost_micro_usd_total", **model) == row[2]
    assert row[1] > sum(usage["completion_tokens"] for usage in worked.usages) == 15


def test_calls_of_providers_and_their_failures_are_counted(worked: Worked) -> None:
    read, model = worked.read, {"kind": "reply", "provider": "openai", "model": scripted.MODEL}
    assert read.total("parley_provider_calls_total", **model) == 5
    assert read.total("parley_provider_failures_total", **model, error="request_refused") == 1
    assert read.of("parley_breaker_state", provider="openai", model=scripted.MODEL)[0].value == 0


def test_requests_are_counted_by_route(worked: Worked) -> None:
    """The path of the route has no ids in it."""
    requests = {
        (one.labels["route"], one.labels["status"]): one.value for one in worked.read.of("parley_http_requests_total")
    }
    assert requests["/v1/conversations/{conversation_id}/messages", "200"] == 4
    assert requests["/v1/conversations/{conversation_id}/messages", "422"] == 1
    assert requests["/openai/v1/chat/completions", "200"] == 1
    assert requests["/v1/models", "429"] == 1


def test_problems_and_refusals_of_limits_are_counted(worked: Worked) -> None:
    read = worked.read
    assert read.total("parley_problems_total", code="invalid_request") == 1
    assert read.total("parley_problems_total", code="rate_limited") == 1
    assert read.total("parley_limit_refusals_total", limit="unauthenticated") == 1
    assert read.total("parley_limit_refusals_total") == 1


def test_the_journal_and_the_database_are_measured(worked: Worked) -> None:
    read = worked.read
    assert read.total("parley_journal_batch_replies_sum", lane="final") == 4
    assert read.total("parley_journal_write_seconds_count", lane="final") > 0
    assert read.total("parley_journal_failures_total") == 0
    assert read.total("parley_supabase_call_seconds_count", caller="user") > 10
    assert read.total("parley_supabase_call_seconds_count", caller="service") > 5
    assert read.total("parley_supabase_failures_total") == 0
    assert read.total("parley_pool_size") == 43


def test_nothing_is_under_way_when_nothing_is(worked: Worked) -> None:
    read = worked.read
    for name in ("parley_replies_streaming", "parley_followers", "parley_journal_lag_seconds", "parley_queue_depth"):
        assert read.of(name)
        assert read.total(name) == 0, name
    assert read.total("parley_index_jobs", state="running") == 0
    assert read.total("parley_jobs_down") == 0
    assert read.total("parley_event_loop_lag_seconds_count") > 0


async def test_every_metric_is_what_it_says(worked: Worked) -> None:
    """Each has the labels that the table of the documentation gives it, and there is no other one."""
    metrics = await shown()
    for one in worked.read.samples:
        name = one.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        assert set(one.labels) - {"le"} == set(metrics[name].labels), one
        assert (name == one.name) != (metrics[name].kind == "histogram")
    seen = {one.name for one in worked.read.samples} | {
        one.name.removesuffix("_count") for one in worked.read.samples if one.name.endswith("_count")
    }
    # without a series until there is one: a change of a breaker is what no test here makes
    assert set(metrics) - seen == {"parley_breaker_changes_total"}


def test_no_label_is_an_id_of_anybody(worked: Worked) -> None:
    values = {value for one in worked.read.samples for value in one.labels.values()}
    assert not [value for value in values if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", value)]
    assert worked.person.id not in worked.read.text


async def test_the_port_of_the_api_has_no_metrics(worked: Worked) -> None:
    async with httpx.AsyncClient(base_url=worked.api.url) as client:
        answer = await client.get("/metrics", headers={"Accept": "text/plain"})
        assert answer.status_code == 404
        assert "parley_" not in answer.text


async def test_the_port_of_the_metrics_has_nothing_else(worked: Worked) -> None:
    async with httpx.AsyncClient() as client:
        for path in ("/", "/v1/models", "/health/ready"):
            assert (await client.get(worked.url.replace("/metrics", path))).status_code == 404
        assert (await client.post(worked.url)).status_code == 405


async def test_a_port_that_is_taken_ends_the_start(worked: Worked, stack: LocalSupabase, tmp_path: Path) -> None:
    port = worked.url.split(":")[2].removesuffix("/metrics")
    with pytest.raises(RuntimeError) as ended:
        async with running_api(stack, tmp_path / "api.log", METRICS_PORT=port):
            pass
    last = (tmp_path / "api.log").read_text().splitlines()[-1]
    assert last.startswith(f"parley: METRICS_PORT or METRICS_HOST: cannot listen on 127.0.0.1:{port} (")
    assert "Traceback" not in str(ended.value)


async def test_processes_count_for_themselves(worked: Worked, stack: LocalSupabase, tmp_path: Path) -> None:
    """Each has its own port, and Prometheus adds up what they counted; the database's figures are the same in all.
    What libraries read for several workers of one process has no effect."""
    workers = {"WEB_CONCURRENCY": "auto", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "nowhere")}
    port = free_port()
    before = await scrape(worked.url)
    async with running_api(stack, tmp_path / "api.log", METRICS_PORT=str(port), **workers) as second:
        async with person_client(second, worked.person) as client:
            await turn(client, await new_conversation(client))
        url = f"http://127.0.0.1:{port}/metrics"
        await eventually(lambda: one_turn(url), within=60)
        assert (await scrape(url)).of("parley_index_oldest_seconds")[0].value == 0
    assert (await scrape(worked.url)).total(TURNS) == before.total(TURNS)


async def one_turn(url: str) -> bool:
    read = await scrape(url)
    return read.total(TURNS, provider="demo", end="complete") == read.total(TURNS) == 1


# ── without a service ────────────────────────────────────────────────────────────────────────────────────────────


def filled() -> Metrics:
    """As many series as there can be: every model of the catalog, others beyond their bound, all routes and events."""
    catalog = Catalog(load_settings(REQUIRED))
    metrics = Metrics(Models(catalog.knows))
    models = [(provider.name, spec.model) for provider in PROVIDERS for spec in catalog.models(provider.name)]
    for provider, model in [*models, *(("openai", f"invented-{number}") for number in range(100))]:
        watched = Measured(metrics, "turn")
        watched.begun(None, "")
        watched.called(provider, model, 1, None)
        watched.heard()
        watched.answered()
        charge = Charge(
            kind="reply",
            provider=provider,
            model=model,
            prompt_tokens=1,
            completion_tokens=1,
            cached_tokens=1,
            cost_micro_usd=1,
        )
        for end in ("complete", "stopped", "failed"):
            watched.ended(FinalState(status=end, provider=provider, model=model, length=0), [charge])
    for number in range(150):
        metrics.requests.labels(f"/v1/route/{number % 50}", str(200 + number // 50)).inc()
    for event in LEVELS:
        metrics.events.labels(event).inc()
    return metrics


def test_models_that_users_name_do_not_make_series_without_end() -> None:
    models = Models(lambda provider, model: model == "known")
    for number in range(1000):
        models.label("openai", f"invented-{number}")
    assert models.label("openai", "invented-1") == ("openai", OTHER)  # none has answered
    answered = {models.label("openai", f"invented-{number}", answered=True) for number in range(1000)}
    assert len(answered) == MOST_OTHERS + 1
    assert models.label("openai", "invented-1") == ("openai", "invented-1")
    assert models.label("openai", "known") == ("openai", "known")
    assert models.label(None, None) == ("none", "none")


async def test_the_text_is_the_librarys() -> None:
    """The exposition renders by itself, as it is three times as fast. Labels that need escaping too."""
    metrics = filled()
    metrics.requests.labels('/v1/"quoted"\\path\nand more', "200").inc(0.5)
    ours = list(text_string_to_metric_families((await text_of(metrics.registry)).decode()))
    theirs = list(text_string_to_metric_families(generate_latest(metrics.registry).decode()))
    assert [family for family in ours if not family.name.startswith("process_")] == [
        family for family in theirs if not family.name.startswith("process_")
    ]


async def test_a_scrape_costs_less_than_five_milliseconds() -> None:
    """Processor time, of the fastest of some: what else the machine does makes it longer, and nothing makes it
    shorter. A real installation has some four hundred lines, a third of these."""
    metrics = filled()
    costs = []
    for _ in range(20):
        began = time.thread_time()
        text = await text_of(metrics.registry)
        costs.append(time.thread_time() - began)
    assert text.count(b"\n") > 1000
    assert min(costs) < 0.005


def test_nothing_of_it_is_imported_while_it_is_off() -> None:
    """Without the required settings the start ends when all is imported."""
    started = [sys.executable, "-X", "importtime", "-m", "app"]
    ended = subprocess.run(started, capture_output=True, text=True, cwd=ROOT, env={}, timeout=60)
    assert "SUPABASE_URL is not set" in ended.stderr
    imported = set(re.findall(r"\|\s+([\w.]+)$", ended.stderr, re.MULTILINE))
    assert "app.serve" in imported
    # redis' attempt at `opentelemetry.sdk.metrics` itself is listed too
    heavy = {"prometheus_client", "opentelemetry.sdk.metrics._internal", "opentelemetry.sdk.trace", "aiohttp.web"}
    assert not imported & heavy
    assert not [name for name in imported if name.startswith("app.telemetry")]


def test_the_api_and_the_metrics_have_different_ports() -> None:
    with pytest.raises(SettingsError, match="METRICS_PORT and PARLEY_PORT are both 8000"):
        load_settings({**REQUIRED, "METRICS_PORT": "8000"})
