"""Metrics: the numbers of a process that Prometheus collects. All of their names and labels are here.

A label has one of a few values: no id, no address, no text of anybody. Users can name any model, so `Models` bounds
the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import disable_created_metrics as _disable_created_metrics
from prometheus_client import values as _values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

OTHER = "other"
MOST_OTHERS = 10
"""Models that the catalog does not know and that have a label of their own: the first that have answered."""

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Up to the timeout of a call of Supabase."""
FIRST_SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 120)
WHOLE_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 1200)
"""Up to the limit of a whole reply."""
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

ByLabels = Iterable[tuple[tuple[str, ...], float]]
"""Values, each with those of its labels."""


class Shown(NamedTuple):
    """A metric as the documentation shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


OF_THE_PROCESS = (
    Shown(
        "process_cpu_seconds_total",
        "counter",
        (),
        "Processor time, in seconds. All process_* are on Linux only.",
    ),
    Shown("process_resident_memory_bytes", "gauge", (), "Memory of the process that is in RAM."),
    Shown("process_virtual_memory_bytes", "gauge", (), "Address space of the process."),
    Shown("process_start_time_seconds", "gauge", (), "When the process started, in seconds since 1970."),
    Shown("process_open_fds", "gauge", (), "Open file descriptors."),
    Shown("process_max_fds", "gauge", (), "The most file descriptors that it may have."),
    Shown("python_info", "gauge", ("implementation", "major", "minor", "patchlevel", "version"), "Always 1."),
)
"""What prometheus-client adds by itself."""


class Models:
    """Labels for models: every one of the catalog and a few others by name, all further ones as `other`."""

    def __init__(self, known: Callable[[str, str], bool]) -> None:
        """`known` is whether the catalog has a provider's model."""
        self._known = known
        self._named: dict[tuple[str, str], tuple[str, str]] = {}
        self._others = 0

    def label(self, provider: str | None, model: str | None, *, answered: bool = False) -> tuple[str, str]:
        """The labels `provider` and `model`. `answered`: the provider has such a model, as it gave text."""
        if provider is None or model is None:
            return provider or "none", "none"
        found = self._named.get((provider, model))
        if found is not None:
            return found
        if not self._known(provider, model):
            if not answered or self._others >= MOST_OTHERS:
                return provider, OTHER
            self._others += 1
        self._named[provider, model] = provider, model
        return provider, model


class _Read(Collector):
    """What is read when somebody collects, from a part of the process that counts anyway."""

    def __init__(self, shown: Shown, read: Callable[[], ByLabels]) -> None:
        self._shown = shown
        self._read = read

    def collect(self) -> Iterable[Metric]:
        name, kind, labels, meaning = self._shown
        family: CounterMetricFamily | GaugeMetricFamily
        family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, meaning, labels=labels)
        for values, value in self._read():
            family.add_metric(values, value)
        yield family


class Metrics:
    """All metrics of a process."""

    def __init__(self, models: Models) -> None:
        _disable_created_metrics()  # type: ignore[no-untyped-call]
        # each process is asked for its own; PROMETHEUS_MULTIPROC_DIR would have the library share them in files
        _values.ValueClass = _values.MutexValue
        self.models = models
        self.registry = CollectorRegistry(auto_describe=False)
        self.shown: list[Shown] = []
        counter, histogram = self._counter, self._histogram
        self.turns = counter(
            "parley_turns",
            "Turns and completions that ended, by their end: complete, stopped, failed, interrupted, filtered, and "
            "unstored where the end could not be stored.",
            ("kind", "provider", "model", "end"),
        )
        self.first_sign = histogram(
            "parley_turn_first_sign_seconds",
            "From the request for a reply to the provider's first sign of life, such as headers or reasoning.",
            ("provider",),
            FIRST_SECONDS,
        )
        self.first_token = histogram(
            "parley_turn_first_token_seconds",
            "From the request for a reply to its first text or tool call.",
            ("provider", "model"),
            FIRST_SECONDS,
        )
        self.seconds = histogram(
            "parley_turn_seconds",
            "From the request for a reply to its stored end.",
            ("provider", "model"),
            WHOLE_SECONDS,
        )
        self.begin = histogram(
            "parley_turn_begin_seconds",
            "From the request for a reply until the database has admitted it.",
            (),
            CALL_SECONDS,
        )
        self.retrieval = histogram(
            "parley_turn_retrieval_seconds", "The search for documents beside a turn.", (), CALL_SECONDS
        )
        self.calls = counter(
            "parley_provider_calls",
            "Calls of providers, by what they were for (reply, title).",
            ("kind", "provider", "model"),
        )
        self.failures = counter(
            "parley_provider_failures",
            "Those of them that failed, by the class of the error.",
            ("kind", "provider", "model", "error"),
        )
        self.tokens = counter(
            "parley_tokens",
            "Tokens that were charged, by what they were for (reply, title, embedding, moderation) and by direction: "
            "input, of which cached, and output.",
            ("kind", "provider", "model", "direction"),
        )
        self.cost = counter(
            "parley_cost_micro_usd",
            "What the calls of providers have cost, in micro-dollars, where the price is known.",
            ("kind", "provider", "model"),
        )
        self.breaker_changes = counter(
            "parley_breaker_changes", "Changes of circuit breakers, by the state that follows.", ("provider", "state")
        )
        self.requests = counter(
            "parley_http_requests",
            "Requests that were answered, by the route's path (`none` for an unknown one) and status; a stream counts "
            "when it ends.",
            ("route", "status"),
        )
        self.problems = counter("parley_problems", "Requests answered with a problem, by its code.", ("code",))
        self.refusals = counter(
            "parley_limit_refusals",
            "Requests that a limit refused: requests, tokens, unauthenticated, budget, stored (what a user may have), "
            "concurrency (of a user), capacity (of the process), connection.",
            ("limit",),
        )
        self.journal_seconds = histogram(
            "parley_journal_write_seconds",
            "Successful calls of the journal, with retries.",
            ("lane",),
            CALL_SECONDS,
        )
        self.journal_batch = histogram(
            "parley_journal_batch_replies",
            "Replies that a call of the journal stored.",
            ("lane",),
            BATCH_SIZES,
        )
        self.journal_failures = counter(
            "parley_journal_failures", "Calls of the journal, and for the charges of completions, that failed.", ()
        )
        self.supabase_seconds = histogram(
            "parley_supabase_call_seconds",
            "Calls of database functions, by whose key they carry: user or service.",
            ("caller",),
            CALL_SECONDS,
        )
        self.supabase_failures = counter(
            "parley_supabase_failures",
            "Such calls without an answer (unavailable), or with a refusal of the settings (refused).",
            ("caller", "reason"),
        )
        self.lag = histogram(
            "parley_event_loop_lag_seconds",
            "How much later than due the event loop does what it should, measured twice a second.",
            (),
            LAG_SECONDS,
        )
        self.events = counter("parley_events", "Events of the log, whatever LOG_LEVEL shows.", ("event",))
        self.registry.register(PlatformCollector(registry=None))
        self.registry.register(ProcessCollector(registry=None))
        self.shown += OF_THE_PROCESS

    def read(
        self, name: str, meaning: str, labels: Sequence[str], values: Callable[[], ByLabels], *, kind: str = "gauge"
    ) -> None:
        """Add a metric whose values are read when somebody collects."""
        shown = Shown(name, kind, tuple(labels), meaning)
        self.shown.append(shown)
        self.registry.register(_Read(shown, values))

    def _counter(self, name: str, meaning: str, labels: Sequence[str]) -> Counter:
        self.shown.append(Shown(f"{name}_total", "counter", tuple(labels), meaning))
        return Counter(name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        self.shown.append(Shown(name, "histogram", tuple(labels), meaning))
        return Histogram(name, meaning, labels, registry=self.registry, buckets=buckets)
