"""Measuring: turns what the process is told to have done into metrics, and into spans where traces are on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Literal, get_args

from app import observe
from app.errors import (
    ERRORS,
    AppError,
    BudgetExceeded,
    Draining,
    LimitReached,
    ProviderError,
    RateLimited,
    SupabaseRefused,
    SupabaseUnavailable,
)
from app.observe import EventName
from app.telemetry.metrics import Metrics
from app.values import Usage
from app.watch import NOBODY, UNWATCHED, Ended, Kind, Lane, Spent, Watch, Watcher, Whose

NAMED_LIMITS = ("requests", "tokens", "unauthenticated")
"""Limits that say their name in a refusal."""
LIMITS = (*NAMED_LIMITS, "budget", "stored", "concurrency", "capacity", "connection")
UNSTORED = "unstored"


class Called(Watch):
    """Counts calls of providers, and those that failed. `purpose` is that of the ledger: `reply` or `title`."""

    __slots__ = ("_called", "_metrics", "_purpose")

    def __init__(self, metrics: Metrics, purpose: Literal["reply", "title"]) -> None:
        self._metrics = metrics
        self._purpose = purpose
        self._called: tuple[str, str] | None = None

    def called(self, provider: str, model: str, attempt: int, max_tokens: int | None) -> None:
        self._called = provider, model
        self._metrics.calls.labels(self._purpose, *self._metrics.models.label(provider, model)).inc()

    def failed(self, error: ProviderError) -> None:
        if self._called is not None:
            labels = self._metrics.models.label(*self._called)
            self._metrics.failures.labels(self._purpose, *labels, _snake(type(error).__name__)).inc()


class Measured(Called):
    """One reply, for the metrics. All that it is told, it tells `then` too."""

    __slots__ = ("_answered_at", "_asked_at", "_heard_at", "_kind", "_then")

    def __init__(self, metrics: Metrics, kind: Kind, then: Watch = NOBODY) -> None:
        super().__init__(metrics, "reply")
        self._kind = kind
        self._then = then
        self._asked_at = perf_counter()
        self._heard_at: float | None = None
        self._answered_at: float | None = None

    def refused(self, error: BaseException) -> None:
        self._then.refused(error)

    def replayed(self) -> None:
        self._then.replayed()

    def begun(self, conversation_id: str | None, reply_id: str) -> None:
        self._metrics.begin.observe(perf_counter() - self._asked_at)
        self._then.begun(conversation_id, reply_id)

    def retrieved(self, began: float, passages: int, error: str | None) -> None:
        self._metrics.retrieval.observe(perf_counter() - began)
        self._then.retrieved(began, passages, error)

    def called(self, provider: str, model: str, attempt: int, max_tokens: int | None) -> None:
        super().called(provider, model, attempt, max_tokens)
        self._then.called(provider, model, attempt, max_tokens)

    def heard(self) -> None:
        if self._heard_at is None and self._called is not None:
            self._heard_at = perf_counter()
            self._metrics.first_sign.labels(self._called[0]).observe(self._heard_at - self._asked_at)
        self._then.heard()

    def answered(self) -> None:
        if self._answered_at is None and self._called is not None:
            self._answered_at = perf_counter()
            labels = self._metrics.models.label(*self._called, answered=True)
            self._metrics.first_token.labels(*labels).observe(self._answered_at - self._asked_at)
        self._then.answered()

    def failed(self, error: ProviderError) -> None:
        super().failed(error)
        self._then.failed(error)

    def written(self, usage: Usage | None) -> None:
        self._then.written(usage)

    def ended(self, final: Ended | None, spent: Iterable[Spent]) -> None:
        metrics = self._metrics
        provider, model = (final.provider, final.model) if final is not None else self._called or (None, None)
        labels = metrics.models.label(provider, model)
        end = UNSTORED if final is None else final.status
        metrics.turns.labels(self._kind, *labels, end).inc()
        metrics.seconds.labels(*labels).observe(perf_counter() - self._asked_at)
        count_spent(metrics, spent)
        self._then.ended(final, spent)


def count_spent(metrics: Metrics, charges: Iterable[Spent]) -> None:
    for charge in charges:
        labels = charge.kind, *metrics.models.label(charge.provider, charge.model, answered=True)
        metrics.tokens.labels(*labels, "input").inc(charge.prompt_tokens)
        if charge.completion_tokens:
            metrics.tokens.labels(*labels, "output").inc(charge.completion_tokens)
        if charge.cached_tokens:
            metrics.tokens.labels(*labels, "cached").inc(charge.cached_tokens)
        if charge.cost_micro_usd is not None:
            metrics.cost.labels(*labels).inc(charge.cost_micro_usd)


class Measuring(Watcher):
    """Counts what the process is told. Replies are told to `then` too."""

    def __init__(self, metrics: Metrics, then: Watcher = UNWATCHED) -> None:
        self._metrics = metrics
        self._then = then
        # Prometheus sees only what changes: a series that is first seen with a failure seems to have had none
        for limit in LIMITS:
            metrics.refusals.labels(limit)
        for code in ERRORS:
            metrics.problems.labels(code)
        for whose in get_args(Whose):
            for reason in ("unavailable", "refused"):
                metrics.supabase_failures.labels(whose, reason)
        for name, level in observe.LEVELS.items():
            if level == "error":
                metrics.events.labels(name)

    def reply(self, kind: Kind) -> Watch:
        return Measured(self._metrics, kind, self._then.reply(kind))

    def title(self) -> Watch:
        return Called(self._metrics, "title")

    def spent(self, charges: Iterable[Spent]) -> None:
        count_spent(self._metrics, charges)

    def problem(self, error: AppError) -> None:
        self._metrics.problems.labels(error.code).inc()
        if (limit := _limit(error)) is not None:
            self._metrics.refusals.labels(limit).inc()

    def journaled(self, lane: Lane, replies: int, seconds: float) -> None:
        self._metrics.journal_seconds.labels(lane).observe(seconds)
        self._metrics.journal_batch.labels(lane).observe(replies)

    def journal_failed(self) -> None:
        self._metrics.journal_failures.inc()

    def asked_supabase(self, whose: Whose, seconds: float, failed: AppError | None) -> None:
        self._metrics.supabase_seconds.labels(whose).observe(seconds)
        if isinstance(failed, SupabaseUnavailable):
            reason = "refused" if isinstance(failed, SupabaseRefused) else "unavailable"
            self._metrics.supabase_failures.labels(whose, reason).inc()

    def event(self, name: EventName, fields: Mapping[str, object]) -> None:
        """What `observe.event` is told."""
        metrics = self._metrics
        metrics.events.labels(name).inc()
        match name:
            case "request.done":
                metrics.requests.labels(fields["path"] or "none", str(fields["status"] or "none")).inc()
            case "breaker.changed":
                metrics.breaker_changes.labels(str(fields["provider"]), str(fields["new"])).inc()
            case "connection.refused":
                metrics.refusals.labels("connection").inc(float(str(fields["refused"])))
            case _:
                pass


def _limit(error: AppError) -> str | None:
    """Which limit refuses with `error`."""
    match error:
        case RateLimited():
            return next((name for name in error.quotas if name in NAMED_LIMITS), "concurrency")
        case BudgetExceeded():
            return "budget"
        case LimitReached():
            return "stored"
        case Draining():
            return "capacity"
        case _:
            return None


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
