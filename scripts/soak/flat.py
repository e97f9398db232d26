"""Flatness: whether memory, files, sockets, tasks and connections of the database stay what they are."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.soak.gauges import Gauges, Life, Sample

WARM_SECONDS = 60.0
"""After the start of a process its memory is judged."""
SHORTEST_SECONDS = 120.0
"""A life that is shorter, without its warm-up, tells nothing about its memory."""
MOST_GROWTH_MB = 12.0
"""Between the first and the last quarter of a judged life."""
MORE_WHEN_IDLE = 12
"""So many more sockets and files than at its start a process may hold when nobody asks for anything: its pools."""
MORE_TASKS_WHEN_IDLE = 3
MOST_DATABASE_CONNECTIONS = 60


@dataclass(frozen=True)
class Growth:
    """How one process has grown."""

    name: str
    began: float
    ended: float
    first_mb: float
    last_mb: float
    slope: float | None
    """MB a minute; None where its life was too short."""
    files: int
    sockets: int
    tasks: int
    blocks: tuple[int, int]
    """Thousands of blocks of memory that Python had in use, when nothing went on, at first and at last."""

    def row(self) -> tuple[str, ...]:
        slope = "too short to say" if self.slope is None else f"{self.slope:+.2f} MB a minute"
        return (
            f"replica {self.name}",
            f"{self.began:.0f} to {self.ended:.0f} s",
            f"{self.first_mb:.0f} MB",
            f"{self.last_mb:.0f} MB",
            slope,
            f"{self.files}",
            f"{self.sockets}",
            f"{self.tasks}",
            f"{self.blocks[0]} and {self.blocks[1]}",
        )


def growths(gauges: Gauges) -> list[Growth]:
    return [growth for life in gauges.lives if (growth := _growth(life)) is not None]


def _growth(life: Life) -> Growth | None:
    if not life.samples:
        return None
    began, ended = life.samples[0].at, life.samples[-1].at
    judged = [sample for sample in life.samples if sample.at >= began + WARM_SECONDS]
    slope = None
    first, last = life.samples[0].rss_mb, life.samples[-1].rss_mb
    if judged and ended - judged[0].at >= SHORTEST_SECONDS:
        quarter = max(1, len(judged) // 4)
        first, last = _median(judged[:quarter]), _median(judged[-quarter:])
        slope = (last - first) / ((ended - judged[0].at) * 0.75) * 60
    return Growth(
        life.name,
        began,
        ended,
        first,
        last,
        slope,
        max(sample.files for sample in life.samples),
        max(sample.sockets for sample in life.samples),
        max(sample.tasks for sample in life.samples),
        (life.samples[0].blocks, life.samples[-1].blocks),
    )


def _median(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.rss_mb for sample in samples)


def not_flat(gauges: Gauges) -> Iterator[str]:
    """What has grown that should not. Called when everything has been idle for a while."""
    for growth in growths(gauges):
        if growth.slope is not None and growth.last_mb - growth.first_mb > MOST_GROWTH_MB:
            yield (
                f"the memory of replica {growth.name} grew from {growth.first_mb:.0f} to {growth.last_mb:.0f} MB "
                f"between {growth.began:.0f} and {growth.ended:.0f} s"
            )
    fresh = [life.samples[0] for life in gauges.lives if life.samples]
    for life in gauges.lives:
        if life.over or not life.samples:
            continue
        idle = life.samples[-1]
        for name, more in (("files", MORE_WHEN_IDLE), ("sockets", MORE_WHEN_IDLE), ("tasks", MORE_TASKS_WHEN_IDLE)):
            before, now = max(getattr(sample, name) for sample in fresh), getattr(idle, name)
            if now > before + more:
                yield f"replica {life.name} holds {now} {name} when it is idle, {before} when it had started"
    if (most := max((count for _, count in gauges.database), default=0)) > MOST_DATABASE_CONNECTIONS:
        yield f"the database had {most} connections"
