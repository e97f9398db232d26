"""Trees: what happened in one turn, noted as it happens and made into OpenTelemetry's spans afterwards.

Noting a time takes a tenth of a microsecond. The spans are written in the thread that sends them, as the bytes of OTLP:
the SDK's own spans cost twelve times the CPU, see docs/decisions/0041-traces.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from secrets import token_bytes
from time import perf_counter_ns, time_ns

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanContext, TraceFlags

from app import observe
from app.errors import AppError, ProviderError
from app.providers.registry import PROVIDERS
from app.telemetry import otlp
from app.values import Usage
from app.watch import Caller, Ended, Kind, Spent, Watch

PROVIDER_NAMES: Mapping[str, str] = {one.name: one.traced_as for one in PROVIDERS if one.traced_as is not None}
"""What the conventions call our providers, where that is another name."""
FIRST_TOKEN = "first_token"  # noqa: S105
CHAT = gen_ai.GenAiOperationNameValues.CHAT.value
RETRIEVAL = gen_ai.GenAiOperationNameValues.RETRIEVAL.value
NANOSECONDS = 1e9


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

    def spans(self) -> list[bytes]:
        """The root, which has what is known of the whole, and below it what was done, in its order: spans as
        `otlp.span` writes them."""
        ids = token_bytes(8 * (4 + len(self._calls)))
        own = (ids[at : at + 8] for at in range(0, len(ids), 8))
        root = next(own)
        spans = [self._root(root)]
        refused = self._error if self._end == "refused" else None
        spans.append(self._below(root, own, "begin", self._asked, self._began or self._ended, error=refused))
        if self._retrieved is not None:
            began, over, passages, error = self._retrieved
            noted = [
                otlp.attribute(gen_ai.GEN_AI_OPERATION_NAME, RETRIEVAL),
                otlp.attribute("parley.passages", passages),
            ]
            spans.append(self._below(root, own, "retrieval", began, over, noted, error=error))
        spans += [self._call(root, own, call, last=call is self._calls[-1]) for call in self._calls]
        if self._written:
            spans.append(self._below(root, own, "finish", self._written, self._ended))
        return spans

    def _root(self, own: bytes) -> bytes:
        parent = self._parent
        noted = [otlp.attribute("parley.end", self._end or "unstored")]
        if self._conversation_id is not None:
            noted.append(otlp.rare(gen_ai.GEN_AI_CONVERSATION_ID, self._conversation_id))
        if self._reply_id is not None:
            noted.append(otlp.rare("parley.reply_id", self._reply_id))
        if self._request_id is not None:
            noted.append(otlp.rare("parley.request_id", self._request_id))
        if self._error is not None:
            noted.append(otlp.attribute(ERROR_TYPE, self._error))
        return otlp.span(
            self._kind,
            otlp.SERVER,
            (self._trace_id, own, bytes.fromhex(parent.span_id) if parent is not None else b""),
            (self._wall + self._asked, self._wall + self._ended),
            noted,
            failed=self._end in ("failed", "unstored"),
        )

    def _call(self, root: bytes, own: Iterator[bytes], call: _Call, *, last: bool) -> bytes:
        noted = [_asked_for(call.provider, call.model, call.max_tokens, call.attempt)]
        if last and self._finish_reason:
            noted.append(otlp.attribute(gen_ai.GEN_AI_RESPONSE_FINISH_REASONS, (self._finish_reason,)))
        usage = self._usage
        if usage is not None and last and call.error is None:
            noted += [
                otlp.attribute(name, tokens)
                for name, tokens in (
                    (gen_ai.GEN_AI_USAGE_INPUT_TOKENS, usage.prompt_tokens),
                    (gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS, usage.completion_tokens),
                    (gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_tokens),
                    (gen_ai.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning_tokens),
                )
            ]
        if call.heard:
            noted.append(otlp.event("first_sign", self._wall + call.heard))
        if call.answered:
            first = (call.answered - call.began) / NANOSECONDS
            noted.append(otlp.rare(gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, first))
            noted.append(otlp.event(FIRST_TOKEN, self._wall + call.answered))
        ended = call.ended or self._ended
        name = f"chat {call.model}"
        return self._below(root, own, name, call.began, ended, noted, kind=otlp.CLIENT, error=call.error)

    def _below(
        self,
        root: bytes,
        own: Iterator[bytes],
        name: str,
        began: int,
        ended: int,
        noted: list[bytes] | None = None,
        *,
        kind: int = otlp.INTERNAL,
        error: str | None = None,
    ) -> bytes:
        """A span below the root, with the next id of its `own`."""
        noted = noted or []
        if error is not None:
            noted.append(otlp.attribute(ERROR_TYPE, error))
        times = self._wall + began, self._wall + ended
        return otlp.span(name, kind, (self._trace_id, next(own), root), times, noted, failed=error is not None)


@lru_cache(maxsize=1024)
def _asked_for(provider: str, model: str, max_tokens: int | None, attempt: int) -> bytes:
    """The attributes of a call that are known when it is made."""
    asked: dict[str, otlp.Value | None] = {
        gen_ai.GEN_AI_OPERATION_NAME: CHAT,
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER_NAMES.get(provider, provider),
        gen_ai.GEN_AI_REQUEST_MODEL: model,
        gen_ai.GEN_AI_REQUEST_STREAM: True,
        gen_ai.GEN_AI_REQUEST_MAX_TOKENS: max_tokens,
        "parley.attempt": attempt,
    }
    return b"".join(otlp.attribute(name, value) for name, value in asked.items() if value is not None)
