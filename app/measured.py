"""What of a service is measured: starts the metrics of a process, and reads its parts when Prometheus collects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app import __version__, observe
from app.errors import AppError
from app.lanes import Lane
from app.main import Service
from app.providers.registry import PROVIDERS
from app.store.indexing import IndexQueue
from app.telemetry.exposition import exposed
from app.telemetry.lag import measure_lag
from app.telemetry.measuring import Measuring
from app.telemetry.metrics import ByLabels, Metrics, Models
from app.values import ProviderName
from app.watch import Watcher

QUEUE_SECONDS = 15.0
"""How often the database is asked for the documents that wait. All processes ask the same, so use `max` of them."""
BREAKER_STATES = {"closed": 0.0, "cooldown": 1.0, "half-open": 2.0, "open": 3.0}


class _Queue:
    """What the database said last of the documents that wait."""

    def __init__(self) -> None:
        self.latest: IndexQueue | None = None

    async def ask(self, service: Service) -> None:
        while True:
            try:
                self.latest = await service.indexing.queue()
            except AppError:
                self.latest = None  # better no value than an old one
            await asyncio.sleep(QUEUE_SECONDS)

    def states(self) -> ByLabels:
        if (latest := self.latest) is None:
            return ()
        states = ("queued", "running", "retrying", "failed")
        return [((state,), getattr(latest, state)) for state in states]

    def oldest(self) -> ByLabels:
        return () if self.latest is None else [((), self.latest.oldest_seconds)]


def metrics_of(service: Service) -> tuple[Metrics, _Queue]:
    """The metrics of a process, which read its parts."""

    def known(provider: str, model: str) -> bool:
        return service.routing.catalog.knows(ProviderName(provider), model) or PROVIDERS.embedding(model) is not None

    metrics, queue = Metrics(Models(known)), _Queue()
    read = metrics.read
    read("parley_build_info", "The release that runs; always 1.", ("version",), lambda: [((__version__,), 1)])
    read(
        "parley_replies_streaming",
        "Replies that are being written.",
        ("kind",),
        lambda: [(("turn",), len(service.turns)), (("completion",), len(service.completions))],
    )
    read("parley_followers", "Readers of replies.", (), lambda: [((), len(service.followers))])
    read(
        "parley_draining",
        "1 while the process is shutting down, else 0.",
        (),
        lambda: [((), float(service.followers.draining))],
    )
    read(
        "parley_jobs_down",
        "Background jobs that have died and are not running again yet.",
        (),
        lambda: [((), len(service.supervisor.down))],
    )
    read(
        "parley_breaker_state",
        "The circuit breaker of a model: 0 closed, 1 cooling down after a 429, 2 half-open, 3 open.",
        ("provider", "model"),
        lambda: _breakers(service, metrics.models),
    )
    read(
        "parley_journal_lag_seconds",
        "For how long text of replies may not have been stored; 0 while none is written.",
        (),
        lambda: [((), service.journal.lag)],
    )
    read(
        "parley_queue_depth",
        "What waits in the process: final states of replies (final), charges of completions (charges), titles that are "
        "being made (titles), and calls that wait for a place of a pool (turns, reads, files).",
        ("queue",),
        lambda: [
            (("final",), service.journal.finishing),
            (("charges",), service.completions.uncharged),
            (("titles",), len(service.titles)),
            *(((name,), lane.load.waiting) for name, lane in _lanes(service).items()),
        ],
    )
    _read_lanes(metrics, service)
    read(
        "parley_index_jobs",
        "Documents of all users, as the database has them: queued, running, retrying (waiting after a failure), and "
        "failed within a day.",
        ("state",),
        queue.states,
    )
    read(
        "parley_index_oldest_seconds",
        "How long ago the oldest document that is not indexed yet was taken, in the whole database.",
        (),
        queue.oldest,
    )
    return metrics, queue


def _lanes(service: Service) -> dict[str, Lane]:
    return {"turns": service.supabase.turns, "reads": service.supabase.reads, "files": service.library.reader.lane}


def _read_lanes(metrics: Metrics, service: Service) -> None:
    lanes = _lanes(service)
    metrics.read(
        "parley_pool_in_use",
        "Users' calls that hold a place: a connection to Supabase for turns or all else (reads), a reader of files.",
        ("pool",),
        lambda: [((name,), lane.load.running) for name, lane in lanes.items()],
    )
    metrics.read(
        "parley_pool_size",
        "How many places there are.",
        ("pool",),
        lambda: [((name,), lane.load.at_once) for name, lane in lanes.items()],
    )
    metrics.read(
        "parley_pool_waits_total",
        "Calls that had to wait for a place.",
        ("pool",),
        lambda: [((name,), lane.load.waited) for name, lane in lanes.items()],
        kind="counter",
    )
    metrics.read(
        "parley_pool_wait_seconds_total",
        "How long they waited altogether.",
        ("pool",),
        lambda: [((name,), lane.load.waited_seconds) for name, lane in lanes.items()],
        kind="counter",
    )


def _breakers(service: Service, models: Models) -> ByLabels:
    """The worst state by labels: models without a label of their own share one."""
    states: dict[tuple[str, ...], float] = {}
    for provider, model, health in service.routing.breakers.all():
        labels = models.label(provider, model)
        states[labels] = max(states.get(labels, 0.0), BREAKER_STATES[health.breaker])
    return states.items()


@asynccontextmanager
async def measured(service: Service, host: str, port: int, then: Watcher) -> AsyncGenerator[Watcher]:
    """Measure the service within the block, and answer Prometheus at this address; `then` is told of replies too.
    Raises `SettingsError`."""
    metrics, queue = metrics_of(service)
    measuring = Measuring(metrics, then)
    async with exposed(metrics.registry, host, port) as url:
        observe.event("settings.in_use", detail=f"Metrics: {url}")
        observe.listen(measuring.event)
        # `once`, as a replica whose measuring fails is still ready for requests
        service.supervisor.once("lag", lambda: measure_lag(metrics.lag.observe))
        service.supervisor.once("index queue", lambda: queue.ask(service))
        try:
            yield measuring
        finally:
            observe.listen(None)
