"""Traces: one tree a turn, received as OpenTelemetry's own receivers do; off by default, and no matter for a turn."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace.sampling import _KNOWN_SAMPLERS
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.util.re import parse_env_headers

from app.settings import SettingsError
from app.telemetry.traces import ask_receiver
from app.trace_settings import RULES, SAMPLERS, traces_wanted
from app.watch import TRACEPARENT
from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.client import WAIT, new_conversation, person_client, reading, script, turn
from tests.support.documents import put_in
from tests.support.limits import kept_settings, owned
from tests.support.replica_client import eventually
from tests.support.service import Api, running_api, sign_up
from tests.support.upstream import Upstream
from tests.telemetry.collector import Collector, attributes, collecting, plain

__all__ = ["kept_settings", "owned"]

pytestmark = pytest.mark.usefixtures("kept_settings")
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
async def traced(
    stack: LocalSupabase, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API that has answered, failed over, been stopped, been refused and completed; its traces have come."""
    async with Upstream() as upstream:
        settings = {
            "OPENAI_API_KEY": "test-key-of-the-traces",
            "OPENAI_BASE_URL": upstream.url,
            "OPENAI_MODEL": scripted.MODEL,
            "EMBEDDING_MODEL": "local",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=chat",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "chat-of-ours",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        async with running_api(stack, tmp_path_factory.mktemp("traces") / "api.log", **settings) as api:
            async with person_client(api, await sign_up(stack)) as client:
                await work(client)
            await eventually(lambda: len(collector.roots()) >= 7, within=60)
            yield api


async def work(client: httpx.AsyncClient) -> None:
    """A whole turn for a caller with a trace of its own, an empty one, a stopped one, a refused one, one for a caller
    that is not traced, one whose request is repeated, and a completion."""
    await put_in(client, "The kitchen closes at ten.")
    conversation = await new_conversation(client)
    messages = f"/v1/conversations/{conversation}/messages"
    by = {"traceparent": f"00-{TRACE}-{PARENT}-01", **WAIT, "X-Request-ID": "asked-by-the-test"}
    await client.post(messages, json={"content": script(tokens=3, thoughts=["Hm."]), "max_tokens": 50}, headers=by)
    empty = await turn(client, conversation, script(tokens=0))
    assert empty["status"] == "failed"
    endless = {"content": script(tokens=1000, gap=0.02)}
    async with reading(client, "POST", messages, json=endless) as reader:
        await reader.until("delta")
        message = reader.transcript.events[0].data["message_id"]
        await client.post(f"/v1/messages/{message}/stop")
        await reader.to_end()
    unknown = f"/v1/conversations/{uuid.uuid4()}/messages"
    assert (await client.post(unknown, json={"content": "?"})).status_code == 404
    untraced = {"traceparent": f"00-{TRACE[::-1]}-{PARENT}-00", **WAIT}
    await client.post(messages, json={"content": script(tokens=1)}, headers=untraced)
    for _ in range(2):
        await client.post(messages, json={"content": script(tokens=2)}, headers={"Idempotency-Key": "once", **WAIT})
    body = {"model": scripted.MODEL, "messages": [{"role": "user", "content": script(tokens=7)}]}
    assert (await client.post("/openai/v1/chat/completions", json=body)).status_code == 200


def by_end(collector: Collector, end: str, name: str = "turn") -> Span:
    """The one root of this name that ended so."""
    found = [root for root in collector.roots(name) if attributes(root)["parley.end"] == end]
    assert len(found) == 1, [attributes(root) for root in collector.roots()]
    return found[0]


def names(collector: Collector, root: Span) -> list[str]:
    return [span.name for span in collector.below(root)]


def of_caller(collector: Collector) -> Span:
    return next(root for root in collector.roots() if root.trace_id.hex() == TRACE)


async def test_a_turn_is_one_tree(traced: Api, collector: Collector) -> None:
    """Below the caller's span, in the order in which things began, and within the turn's time."""
    root = of_caller(collector)
    # and no other one, though they came on the same connection
    assert [other.trace_id.hex() for other in collector.roots()].count(TRACE) == 1
    assert root.parent_span_id.hex() == PARENT
    assert root.kind == Span.SPAN_KIND_SERVER
    said = attributes(root)
    assert said["parley.end"] == "complete"
    assert said["parley.request_id"] == "asked-by-the-test"
    below = collector.below(root)
    assert [span.name for span in below] == ["begin", "retrieval", f"chat {scripted.MODEL}", "finish"]
    assert {span.trace_id for span in below} == {root.trace_id}
    assert len({span.span_id for span in (root, *below)}) == 5
    for span in below:
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    began = {span.name: span.start_time_unix_nano for span in below}
    assert began["begin"] <= began["retrieval"] <= began[f"chat {scripted.MODEL}"] <= began["finish"]


async def test_a_call_has_what_the_conventions_ask_for(traced: Api, collector: Collector) -> None:
    call = collector.below(of_caller(collector))[2]
    said = attributes(call)
    assert call.kind == Span.SPAN_KIND_CLIENT
    first = said.pop("gen_ai.response.time_to_first_chunk")
    assert isinstance(first, float)
    assert 0 < first < (call.end_time_unix_nano - call.start_time_unix_nano) / 1e9
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": scripted.MODEL,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": said["gen_ai.usage.input_tokens"],
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": said["gen_ai.usage.reasoning.output_tokens"],
        "parley.attempt": 1,
    }
    assert [event.name for event in call.events] == ["first_sign", "first_token"]
    assert call.events[0].time_unix_nano <= call.events[1].time_unix_nano


async def test_the_names_are_those_of_the_conventions(traced: Api, collector: Collector) -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    said = {name for span in collector.spans for name in attributes(span)}
    assert {name for name in said if name.startswith("gen_ai.")} <= known
    assert {name for name in said if not name.startswith(("gen_ai.", "parley."))} == {"error.type"}


async def test_each_call_is_a_span_and_a_failure_has_its_class(traced: Api, collector: Collector) -> None:
    """A reply without text is asked for once more."""
    root = by_end(collector, "failed")
    calls = [span for span in collector.below(root) if span.name.startswith("chat ")]
    assert [attributes(call)["parley.attempt"] for call in calls] == [1, 2]
    assert [attributes(call)["error.type"] for call in calls] == ["empty_reply", "empty_reply"]
    assert {span.status.code for span in (root, *calls)} == {Status.STATUS_CODE_ERROR}
    assert not any(span.status.message for span in collector.spans)


async def test_a_turn_that_is_stopped_is_no_error(traced: Api, collector: Collector) -> None:
    root = by_end(collector, "stopped")
    assert root.status.code == Status.STATUS_CODE_UNSET
    assert names(collector, root)[-1] == "finish"


async def test_a_turn_that_is_refused_ends_with_its_begin(traced: Api, collector: Collector) -> None:
    root = by_end(collector, "refused")
    assert attributes(root)["error.type"] == "not_found"
    assert names(collector, root) == ["begin"]


async def test_a_repeated_request_is_told_from_a_turn(traced: Api, collector: Collector) -> None:
    assert names(collector, by_end(collector, "replayed")) == ["begin"]


async def test_a_completion_is_a_tree_too(traced: Api, collector: Collector) -> None:
    root = by_end(collector, "complete", "completion")
    assert names(collector, root) == ["begin", f"chat {scripted.MODEL}", "finish"]
    assert "gen_ai.conversation.id" not in attributes(root)


async def test_a_caller_that_does_not_trace_is_not_traced(traced: Api, collector: Collector) -> None:
    assert TRACE[::-1] not in {root.trace_id.hex() for root in collector.roots()}


async def test_the_variables_of_open_telemetry_count(traced: Api, collector: Collector) -> None:
    resource = plain(list(collector.requests[0].resource_spans[0].resource.attributes))
    assert resource["service.name"] == "chat-of-ours"
    assert resource["deployment.environment.name"] == "test"
    assert resource["service.version"]
    assert resource["service.instance.id"]
    assert collector.headers[0]["x-team"] == "chat"
    assert collector.headers[0]["content-encoding"] == "gzip"


async def test_lines_of_the_log_have_the_trace(traced: Api, collector: Collector) -> None:
    lines = [json.loads(line) for line in traced.log_text.splitlines()]
    done = next(line for line in lines if line.get("request_id") == "asked-by-the-test")
    assert done["trace_id"] == TRACE
    # of a caller without a trace, the one that it was given
    failed = next(line for line in lines if line["event"] == "provider.failed")
    assert failed["trace_id"] == by_end(collector, "failed").trace_id.hex()


async def test_a_receiver_that_fails_costs_nothing_and_is_logged_once(
    stack: LocalSupabase, upstream: Upstream, tmp_path: Path
) -> None:
    """Turns are answered as ever, the log says it once, and the process ends in time though the last trees do not
    leave."""
    with collecting() as collector:
        collector.status = 500
        settings = {
            "OPENAI_API_KEY": "test-key-of-the-traces",
            "OPENAI_BASE_URL": upstream.url,
            "OPENAI_MODEL": scripted.MODEL,
            "EMBEDDING_MODEL": "local",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        async with running_api(stack, tmp_path / "api.log", **settings) as api:
            async with person_client(api, await sign_up(stack)) as client:
                conversation = await new_conversation(client)
                for number in range(3):
                    assert (await turn(client, conversation))["status"] == "complete"
                    await eventually(lambda seen=number: collector.asked > seen, within=60)  # type: ignore[misc]
            api.terminate()
            assert await api.ended(10) == 0
    unsent = [line for line in map(json.loads, api.log_text.splitlines()) if line["event"] == "traces.unsent"]
    assert [(line["level"], line["status"]) for line in unsent] == [("warning", 500)]
    assert "opentelemetry" not in api.log_text


# ── the settings ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "chat"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_traces_are_on_where_an_address_or_an_exporter_is_named(environment: Mapping[str, str], wanted: bool) -> None:
    assert traces_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:"),
    ],
)
def test_what_there_is_not_ends_the_start(environment: Mapping[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(why)):
        traces_wanted(environment)


ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("OTEL_TRACES_SAMPLER", "xx", "one of always_on, always_off, traceidratio, parentbased_always_on"),
        ("OTEL_TRACES_SAMPLER", " always_off", "one of always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "half", "a number from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "a number from 0 to 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "abc", "a whole number of milliseconds from 1 to 86400000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "a whole number of milliseconds from 1 to 86400000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "30s", "a whole number of milliseconds from 1 to 86400000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2k", "a whole number from 1 to 1000000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0.5", "a whole number from 1 to 1000000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "name=value, separated by commas"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=chat", "name=value, separated by commas"),
        ("OTEL_SDK_DISABLED", "yes", "true or false"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "foo", "name=value of ASCII"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=a;b", "name=value of ASCII"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=a%0Ab", "name=value of ASCII"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "a number of seconds from 0.01 to 86400"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1", "a number of seconds from 0.01 to 86400"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "one of none, gzip, deflate"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "a file that can be read"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/nowhere/own.pem", "a file that can be read"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere", "a file that can be read"),
    ],
)
def test_a_wrong_value_of_open_telemetry_ends_the_start_where_traces_are_on(
    name: str, text: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be {re.escape(expected)}"):
        traces_wanted(ON | {name: text})
    assert traces_wanted({name: text}) is False


def test_right_values_of_open_telemetry_are_taken() -> None:
    values = {
        "OTEL_TRACES_SAMPLER": "ParentBased_TraceIDRatio",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BSP_EXPORT_TIMEOUT": "30000",
        "OTEL_BSP_MAX_QUEUE_SIZE": "2048",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test, empty=,",
        "OTEL_SDK_DISABLED": "False",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer a.b==, x-team=chat%20team",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "GZIP",
        **{f"OTEL_EXPORTER_OTLP_{name}": __file__ for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")},
    }
    assert {names[-1] for names in RULES} == set(values)
    assert traces_wanted(ON | values) is True
    assert traces_wanted(ON | dict.fromkeys(values, " ")) is True


def test_a_value_for_traces_alone_counts_before_that_for_all() -> None:
    values = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert traces_wanted(ON | values) is True


def test_the_receiver_is_asked_with_an_empty_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=chat")
    with collecting() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        assert ask_receiver(30) == (f"{receiver.url}/v1/traces", None)
    assert (receiver.bodies, receiver.headers[0]["x-team"]) == ([b""], "chat")


def test_samplers_are_those_of_the_sdk() -> None:
    assert set(SAMPLERS) == set(_KNOWN_SAMPLERS)


@pytest.mark.parametrize("character", sorted({*map(chr, range(32, 127))} - {"%"}))
def test_headers_are_those_that_the_sdk_takes(character: str) -> None:
    for header in (f"a{character}b=c", f"a=b{character}c"):
        parts = [part for part in header.split(",") if part]
        taken = len(parse_env_headers(header, liberal=True)) == len(parts)
        try:
            accepted = traces_wanted(ON | {"OTEL_EXPORTER_OTLP_HEADERS": header})
        except SettingsError:
            accepted = False
        assert accepted is taken, header


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"01-{TRACE}-{PARENT}-01-later", True),
        (f"00-{TRACE}-{PARENT}-01-later", False),
        (f"ff-{TRACE}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        ("text of a message", False),
    ],
)
def test_only_a_valid_traceparent_is_taken(header: str, taken: bool) -> None:
    assert bool(TRACEPARENT.fullmatch(header)) is taken
