"""Traces: decides which turns are traced, and sends their trees by OTLP, as OpenTelemetry's own variables say.

Sending has a thread and a bounded queue of its own. A receiver that does not answer costs nothing but the trees.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from app import observe, watch
from app.settings import SettingsError
from app.telemetry import otlp
from app.telemetry.tree import Tree
from app.watch import NOBODY, Caller, Kind, Watch, Watcher

CLOSE_SECONDS = 0.3
"""How long the end of the process waits for the last trees to be sent."""


class _Sender(OTLPSpanExporter):
    """OpenTelemetry's exporter, for trees in the place of its spans. It reads the variables, compresses, repeats and
    has the connection. A failure is logged once, until something was sent again."""

    def __init__(self, request: otlp.Request) -> None:
        super().__init__()
        self._request = request
        self._failing = False

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """`spans` are trees."""
        try:
            result = self._client.export(self._request.of(span for tree in spans for span in tree.spans()))
        except Exception as error:
            observe.unforeseen("traces.unsent", error, turns=len(spans))
            return SpanExportResult.FAILURE
        if not result.success and not self._failing:
            name = type(result.error).__name__ if result.error is not None else None
            observe.event("traces.unsent", turns=len(spans), status=result.status_code, error=name)
        self._failing = not result.success
        return SpanExportResult.SUCCESS if result.success else SpanExportResult.FAILURE


class Tracing(Watcher):
    """Traces the turns that the sampler of `OTEL_TRACES_SAMPLER` chooses; by default all, but those whose caller has
    chosen otherwise."""

    def __init__(self, version: str) -> None:
        # not made the global one: what libraries trace may have text of users in it
        self._sampler = TracerProvider(shutdown_on_exit=False).sampler
        scope = InstrumentationScope(name="parley", version=version)
        request = otlp.Request(_resource(version), scope, Schemas.V1_44_0.value)
        self._processor = BatchSpanProcessor(_Sender(request))

    def reply(self, kind: Kind) -> Watch:
        caller = watch.caller()
        trace_id = bytes.fromhex(caller.trace_id) if caller is not None else token_bytes(16)
        if caller is None:
            observe.set_trace_id(trace_id.hex())
        # the default takes all that have no caller: asking it would be a quarter of what is done while a turn waits
        if (caller is not None or self._sampler is not DEFAULT_ON) and not self._sampled(caller, trace_id, kind):
            return NOBODY
        return Tree(kind, trace_id, caller, self._send)

    def _sampled(self, caller: Caller | None, trace_id: bytes, kind: Kind) -> bool:
        context = set_span_in_context(_span_of(caller)) if caller is not None else None
        decision = self._sampler.should_sample(context, int.from_bytes(trace_id), kind).decision
        return decision is Decision.RECORD_AND_SAMPLE

    def _send(self, tree: Tree) -> None:
        self._processor.on_end(tree)  # type: ignore[arg-type]  # it hands them to the sender as they are

    async def aclose(self) -> None:
        """Send what there is, within `CLOSE_SECONDS`. The SDK would take half a minute where nobody answers, so it
        does this in a thread that the process does not wait for."""
        closed = threading.Event()

        def close() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            closed.set()

        threading.Thread(target=close, daemon=True).start()
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        # looks rather than waits, as a thread that waits for it would be one that the process waits for
        while not closed.is_set() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _span_of(caller: Caller) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED if caller.sampled else TraceFlags.DEFAULT)
    context = SpanContext(int(caller.trace_id, 16), int(caller.span_id, 16), is_remote=True, trace_flags=flags)
    return NonRecordingSpan(context)


def _resource(version: str) -> Mapping[str, object]:
    """What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, over our own."""
    given = dict(Resource.create().attributes)
    if str(given[SERVICE_NAME]).startswith("unknown_service"):  # the SDK's word for none
        del given[SERVICE_NAME]
    ours = {SERVICE_NAME: "parley", SERVICE_VERSION: version, SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    return {**ours, **given}


def make_tracing(version: str) -> Tracing:
    """Raises `SettingsError` for what the SDK refuses of its variables, beside what `trace_settings` knows."""
    # what the exporter logs for each batch is told once, as an event
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    try:
        return Tracing(version)
    except Exception as error:
        raise SettingsError(f"OpenTelemetry's SDK refuses a variable ({type(error).__name__}): {error}") from error


def ask_receiver(seconds: float) -> tuple[str, str | None]:
    """Send an empty export to the receiver, as trees are sent, for about `seconds`. Returns its address, and why it
    has not been taken: None when it has."""
    exporter = OTLPSpanExporter(timeout=seconds)
    try:
        result = exporter._client.export(b"")
    finally:
        exporter._client.shutdown()
    if result.success:
        return exporter._endpoint, None
    why = f" ({type(result.error).__name__})" if result.error is not None else ""
    return exporter._endpoint, f"answers {result.status_code}" if result.status_code else f"does not answer{why}"


@asynccontextmanager
async def traced(version: str) -> AsyncGenerator[Tracing]:
    """Traces turns within the block. Raises as `make_tracing`."""
    tracing = make_tracing(version)
    try:
        yield tracing
    finally:
        await tracing.aclose()
