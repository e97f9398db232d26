"""Trees: what happened in one turn, noted as it happens and made into OpenTelemetry's spans afterwards.

Noting a time takes a tenth of a microsecond. The spans are made in the thread that sends them, in the classes of OTLP
itself, as the SDK's own spans cost six times the CPU: see docs/decisions/0041-traces.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from secrets import token_bytes
from time import perf_counter_ns, time_ns

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanContext, TraceFlags

from app import observe
from app.errors import AppError, ProviderError
from app.providers.registry import PROVIDERS
from app.values import Usage
from app.watch import Caller, Ended, Kind, Spent, Watch

PROVIDER_NAMES: Mapping[str, str] = {one.name: one.traced_as for one in PROVIDERS if one.traced_as is not None}
"""What the conventions call our providers, where that is another name."""
FIRST_TOKEN = "first_token"  # noqa: S105
NANOSECONDS = 1e9

RARE = frozenset(
    {
        gen_ai.GEN_AI_CONVERSATION_ID,
        gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
        "parley.reply_id",
        "parley.request_id",
    }
)
"""Attributes whose value hardly ever comes twice."""

Value = str | int | float | bool | tuple[str, ...]


class _Call:
    """One call of a provider. Times are of `perf_counter_ns`."""

    __slots__ = ("answered", "attempt", "began", "ended", "error", "heard", "max_tokens", "model", "provider")

    def __init__(self, provider: str, model: str, attempt: int, max_tokens: int | None) -> None:
        self.provider, self.model, self.attempt, self.max_tokens = provider, model, attempt, max_tokens
        self.began = perf_counter_ns()
        self.heard = self.answered = self.ended = 0
        self.error: str | None = None


class Tree(Watch):
    """One turn or completion. `send` takes the tree when it is whole."""

    context = SpanContext(0, 0, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    """The SDK's queue takes what is sampled."""

    __slots__ = (
        "_asked",
        "_began",
        "_calls",
        "_conversation_id",
        "_end",
        "_ended",
        "_error",
        "_finish_reason",
        "_kind",
        "_parent",
        "_reply_id",
        "_request_id",
        "_retrieved",
        "_send",
        "_trace_id",
        "_usage",
        "_wall",
        "_written",
    )

    def __init__(self, kind: Kind, trace_id: bytes, parent: Caller | None, send: Callable[[Tree], object]) -> None:
        self._kind = kind
        self._trace_id = trace_id
        self._parent = parent
        self._send = send
        self._asked = perf_counter_ns()
        self._wall = time_ns() - self._asked
        """What makes a time of `perf_counter_ns` one since 1970."""
        self._request_id = observe.request_id()
        self._conversation_id: str | None = None
        self._reply_id: str | None = None
        self._began = self._written = self._ended = 0
        self._retrieved: tuple[int, int, int, str | None] | None = None
        self._calls: list[_Call] = []
        self._usage: Usage | None = None
        self._end: str | None = None
        self._finish_reason: str | None = None
        self._error: str | None = None

    def refused(self, error: BaseException) -> None:
        self._error = error.code if isinstance(error, AppError) else type(error).__name__
        self._end = "refused"
        self._ended = perf_counter_ns()
        self._send(self)

    def replayed(self) -> None:
        self._end = "replayed"
        self._ended = perf_counter_ns()
        self._send(self)

    def begun(self, conversation_id: str | None, reply_id: str) -> None:
        self._began = perf_counter_ns()
        self._conversation_id, self._reply_id = conversation_id, reply_id

    def retrieved(self, began: float, passages: int, error: str | None) -> None:
        self._retrieved = int(began * NANOSECONDS), perf_counter_ns(), passages, error

    def called(self, provider: str, model: str, attempt: int, max_tokens: int | None) -> None:
        self._calls.append(_Call(provider, model, attempt, max_tokens))

    def heard(self) -> None:
        if self._calls and not self._calls[-1].heard:
            self._calls[-1].heard = perf_counter_ns()

    def answered(self) -> None:
        if self._calls:
            self._calls[-1].answered = perf_counter_ns()

    def failed(self, error: ProviderError) -> None:
        if self._calls:
            self._calls[-1].ended = perf_counter_ns()
            self._calls[-1].error = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()

    def written(self, usage: Usage | None) -> None:
        self._written = perf_counter_ns()
        self._usage = usage
        if self._calls and not self._calls[-1].ended:
            self._calls[-1].ended = self._written

    def ended(self, final: Ended | None, spent: Iterable[Spent]) -> None:
        self._ended = perf_counter_ns()
        self._end = "unstored" if final is None else final.status
        self._finish_reason = final.finish_reason if final is not None else None
        self._send(self)

    # ── in the thread that sends ─────────────────────────────────────────────────────────────────────────────────

    def spans(self) -> list[Span]:
        """The root, which has what is known of the whole, and below it what was done, in its order."""
        root = self._root()
        spans = [root]
        refused = self._end == "refused"
        spans.append(self._below(root, "begin", self._asked, self._began or self._ended, error=refused and self._error))
        if self._retrieved is not None:
            began, over, passages, error = self._retrieved
            named: dict[str, Value | None] = {
                gen_ai.GEN_AI_OPERATION_NAME: gen_ai.GenAiOperationNameValues.RETRIEVAL.value,
                "parley.passages": passages,
            }
            spans.append(self._below(root, "retrieval", began, over, named, error=error))
        spans += [self._call(root, call, last=call is self._calls[-1]) for call in self._calls]
        if self._written:
            spans.append(self._below(root, "finish", self._written, self._ended))
        return spans

    def _root(self) -> Span:
        parent = self._parent
        return Span(
            trace_id=self._trace_id,
            span_id=token_bytes(8),
            parent_span_id=bytes.fromhex(parent.span_id) if parent is not None else b"",
            name=self._kind,
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=self._wall + self._asked,
            end_time_unix_nano=self._wall + self._ended,
            attributes=_attributes(
                {
                    gen_ai.GEN_AI_CONVERSATION_ID: self._conversation_id,
                    "parley.reply_id": self._reply_id,
                    "parley.request_id": self._request_id,
                    "parley.end": self._end,
                    ERROR_TYPE: self._error,
                }
            ),
            status=_status(failed=self._end in ("failed", "unstored")),
        )

    def _call(self, root: Span, call: _Call, *, last: bool) -> Span:
        first = (call.answered - call.began) / NANOSECONDS if call.answered else None
        usage = self._usage if last and call.error is None else None
        span = self._below(
            root,
            f"chat {call.model}",
            call.began,
            call.ended or self._ended,
            {
                gen_ai.GEN_AI_OPERATION_NAME: gen_ai.GenAiOperationNameValues.CHAT.value,
                gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER_NAMES.get(call.provider, call.provider),
                gen_ai.GEN_AI_REQUEST_MODEL: call.model,
                gen_ai.GEN_AI_REQUEST_STREAM: True,
                gen_ai.GEN_AI_REQUEST_MAX_TOKENS: call.max_tokens,
                gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: first,
                gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: (self._finish_reason,) if last and self._finish_reason else None,
                gen_ai.GEN_AI_USAGE_INPUT_TOKENS: None if usage is None else usage.prompt_tokens,
                gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: None if usage is None else usage.completion_tokens,
                gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: None if usage is None else usage.cached_tokens,
                gen_ai.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: None if usage is None else usage.reasoning_tokens,
                "parley.attempt": call.attempt,
            },
            kind=Span.SPAN_KIND_CLIENT,
            error=call.error,
        )
        for name, at in (("first_sign", call.heard), (FIRST_TOKEN, call.answered)):
            if at:
                span.events.add(name=name, time_unix_nano=self._wall + at)
        return span

    def _below(
        self,
        root: Span,
        name: str,
        began: int,
        ended: int,
        attributes: Mapping[str, Value | None] | None = None,
        *,
        kind: Span.SpanKind.ValueType = Span.SPAN_KIND_INTERNAL,
        error: str | bool | None = None,
    ) -> Span:
        """A span below the root."""
        return Span(
            trace_id=self._trace_id,
            span_id=token_bytes(8),
            parent_span_id=root.span_id,
            name=name,
            kind=kind,
            start_time_unix_nano=self._wall + began,
            end_time_unix_nano=self._wall + ended,
            attributes=_attributes({**(attributes or {}), ERROR_TYPE: error or None}),
            status=_status(failed=bool(error)),
        )


def _attributes(values: Mapping[str, Value | None]) -> list[KeyValue]:
    return [
        _often(name, value) if name not in RARE else _attribute(name, value)
        for name, value in values.items()
        if value is not None
    ]


def _attribute(name: str, value: Value) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=name, value=AnyValue(string_value=value))
    if isinstance(value, bool):
        return KeyValue(key=name, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=name, value=AnyValue(double_value=value))
    values = [AnyValue(string_value=one) for one in value]
    return KeyValue(key=name, value=AnyValue(array_value=ArrayValue(values=values)))


_often = lru_cache(maxsize=4096, typed=True)(_attribute)
"""Most attributes have the values that they had before: making them anew would take half of the time."""


def _status(*, failed: bool) -> Status | None:
    return Status(code=Status.STATUS_CODE_ERROR) if failed else None
