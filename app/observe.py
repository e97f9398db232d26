"""In charge of what is observed: every event has a name here, and whatever it carries is safe to keep.

The policy, in one place: an event never carries message text, a passage, a key, a token, or a provider's own
words (an error text may quote the prompt). It carries names, numbers, statuses and the classes of errors.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import Literal

import structlog

EventName = Literal[
    "breaker.changed",
    "breaker.sharing_failed",
    "indexing.failed",
    "indexing.postponed",
    "indexing.retry",
    "journal.refused",
    "journal.retry",
    "limits.unshared",
    "moderation.failed",
    "moderation.unavailable",
    "provider.cooling",
    "provider.failed",
    "provider.list_failed",
    "provider.model_not_listed",
    "provider.parameter_refused",
    "provider.unknown_finish",
    "reading.failed",
    "recovery.failed",
    "recovery.interrupted",
    "request.done",
    "request.failed",
    "retrieval.failed",
    "service.draining",
    "service.started",
    "service.stopped",
    "service.unclosed",
    "settings.without_effect",
    "task.failed",
    "turn.failed",
    "turn.unanswered",
    "turn.unstored",
]

Level = Literal["info", "warning", "error"]

LEVELS: dict[EventName, Level] = {
    "breaker.changed": "warning",
    "breaker.sharing_failed": "warning",
    "indexing.failed": "error",
    "indexing.postponed": "warning",
    "indexing.retry": "warning",
    "journal.refused": "error",
    "journal.retry": "warning",
    "limits.unshared": "warning",
    "moderation.failed": "error",
    "moderation.unavailable": "warning",
    "provider.cooling": "warning",
    "provider.failed": "warning",
    "provider.list_failed": "warning",
    "provider.model_not_listed": "warning",
    "provider.parameter_refused": "info",
    "provider.unknown_finish": "warning",
    "reading.failed": "error",
    "recovery.failed": "warning",
    "recovery.interrupted": "warning",
    "request.done": "info",
    "request.failed": "error",
    "retrieval.failed": "warning",
    "service.draining": "info",
    "service.started": "info",
    "service.stopped": "info",
    "service.unclosed": "warning",
    "settings.without_effect": "warning",
    "task.failed": "error",
    "turn.failed": "error",
    "turn.unanswered": "error",
    "turn.unstored": "error",
}

_log = structlog.get_logger("parley")


def event(name: EventName, **fields: str | float | bool | None) -> None:
    """Record that `name` happened. The types of `fields` leave no room for bodies and objects."""
    getattr(_log, LEVELS[name])(name, **fields)


def unforeseen(name: EventName, error: BaseException, **fields: str | float | bool | None) -> None:
    """Record an error that nobody expected: its class and where it was raised, not its text, which may hold data."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame if traceback is not None else None
    where = f"{frame.f_globals.get('__name__')}:{traceback.tb_lineno}" if frame and traceback else None
    event(name, error=type(error).__name__, where=where, **fields)


_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """The id of the request being served, also inside the tasks it started."""
    return _request_id.get()


def set_request_id(value: str) -> None:
    _request_id.set(value)
    structlog.contextvars.bind_contextvars(request_id=value)


def configure(level: str) -> None:
    """One JSON line an event on standard error, from `level` on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
