"""Logging: turns named events into log lines that are safe to keep.

The policy: an event never has message text, a passage, a key, a token, an e-mail address, or a provider's own text (an
error may quote the prompt). It has names, ids, numbers, statuses and the classes of errors. There are two exceptions:
`provider.key_refused` has the provider's message about our key when its list of models was requested, without the key;
`connection.refused` and `proxy.unnamed` have the address of a connection, since an operator needs it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from typing import Literal

import structlog

EventName = Literal[
    "breaker.changed",
    "breaker.sharing_failed",
    "completion.uncharged",
    "completion.unrenewed",
    "connection.refused",
    "export.cut",
    "import.failed",
    "indexing.failed",
    "indexing.postponed",
    "indexing.retry",
    "journal.refused",
    "journal.retry",
    "library.error",
    "library.warning",
    "limits.unshared",
    "moderation.failed",
    "moderation.unavailable",
    "provider.context_full",
    "provider.cooling",
    "provider.failed",
    "provider.key_refused",
    "provider.list_failed",
    "provider.model_not_listed",
    "provider.parameter_refused",
    "provider.prompt_cut",
    "provider.unknown_finish",
    "proxy.unnamed",
    "reading.failed",
    "reading.uncharged",
    "recovery.failed",
    "recovery.interrupted",
    "request.done",
    "request.failed",
    "retrieval.failed",
    "retrieval.uncharged",
    "search.not_indexed",
    "service.draining",
    "service.started",
    "service.stopped",
    "service.unclosed",
    "settings.in_use",
    "settings.unknown",
    "settings.without_effect",
    "supabase.refused",
    "supabase.unreachable",
    "task.failed",
    "title.failed",
    "title.unanswered",
    "traces.unsent",
    "turn.failed",
    "turn.unanswered",
    "turn.unstored",
]

Level = Literal["info", "warning", "error"]

LEVELS: dict[EventName, Level] = {
    "breaker.changed": "warning",
    "breaker.sharing_failed": "warning",
    "completion.uncharged": "error",
    "completion.unrenewed": "warning",
    "connection.refused": "warning",
    "export.cut": "warning",
    "import.failed": "warning",
    "indexing.failed": "error",
    "indexing.postponed": "warning",
    "indexing.retry": "warning",
    "journal.refused": "error",
    "journal.retry": "warning",
    "library.error": "error",
    "library.warning": "warning",
    "limits.unshared": "warning",
    "moderation.failed": "error",
    "moderation.unavailable": "warning",
    "provider.context_full": "info",
    "provider.cooling": "warning",
    "provider.failed": "warning",
    "provider.key_refused": "warning",
    "provider.list_failed": "warning",
    "provider.model_not_listed": "warning",
    "provider.parameter_refused": "info",
    "provider.prompt_cut": "warning",
    "provider.unknown_finish": "warning",
    "proxy.unnamed": "warning",
    "reading.failed": "error",
    "reading.uncharged": "warning",
    "recovery.failed": "warning",
    "recovery.interrupted": "warning",
    "request.done": "info",
    "request.failed": "error",
    "retrieval.failed": "warning",
    "retrieval.uncharged": "warning",
    "search.not_indexed": "warning",
    "service.draining": "info",
    "service.started": "info",
    "service.stopped": "info",
    "service.unclosed": "warning",
    "settings.in_use": "info",
    "settings.unknown": "warning",
    "settings.without_effect": "warning",
    "supabase.refused": "error",
    "supabase.unreachable": "warning",
    "task.failed": "error",
    "title.failed": "warning",
    "title.unanswered": "warning",
    "traces.unsent": "warning",
    "turn.failed": "error",
    "turn.unanswered": "error",
    "turn.unstored": "error",
}

Listener = Callable[[EventName, Mapping[str, object]], object]
"""Is told of each event and its fields, whatever level is logged."""

_log = structlog.get_logger("parley")
_listener: Listener | None = None


def listen(listener: Listener | None) -> None:
    """Tell `listener` of every event from now on; None: nobody."""
    global _listener
    _listener = listener


def event(name: EventName, **fields: str | float | bool | None) -> None:
    """Log that `name` happened. The types of `fields` exclude bodies and objects."""
    if _listener is not None:
        _listener(name, fields)
    getattr(_log, LEVELS[name])(name, **fields)


def unforeseen(name: EventName, error: BaseException, **fields: str | float | bool | None) -> None:
    """Log an unexpected error: its class and where it was raised, but not its text, which may hold data."""
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
    """The id of the request that is being served, also in the tasks that it has started."""
    return _request_id.get()


def set_request_id(value: str) -> None:
    _request_id.set(value)
    structlog.contextvars.bind_contextvars(request_id=value)


def set_trace_id(value: str) -> None:
    """All lines of the request that is being served have this `trace_id`, those of its turn too."""
    structlog.contextvars.bind_contextvars(trace_id=value)


SHORTEST_SECRET = 4
"""Characters. A shorter key is a placeholder, and may be part of ordinary words."""


def configure(level: str, secrets: Collection[str] = ()) -> None:
    """Log events of at least `level` on standard error, one line each: readable on a terminal, else JSON. `secrets` are
    removed from all fields."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
            if terminal
            else structlog.processors.TimeStamper(fmt="iso"),
            _without(tuple(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)),
            structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))
            if terminal
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _without(secrets: tuple[str, ...]) -> structlog.typing.Processor:
    def leave_out(_: object, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
        for name, value in fields.items():
            if isinstance(value, str):
                for secret in secrets:
                    value = value.replace(secret, "[key]")
                fields[name] = value
        return fields

    return leave_out


class _Libraries(logging.Handler):
    """Turns what libraries log into events, so that all lines have one form. Their messages are left out, because they
    may hold data; only those of uvicorn are kept, which are about connections."""

    def emit(self, record: logging.LogRecord) -> None:
        event(
            "library.error" if record.levelno >= logging.ERROR else "library.warning",
            library=record.name,
            where=f"{record.module}:{record.lineno}",
            detail=str(record.msg).partition("\n")[0] if record.name.startswith("uvicorn") else None,
            error=record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None,
        )


def include_libraries() -> None:
    """Log the warnings and errors of libraries as events too. Only for a process that this code owns."""
    logging.basicConfig(handlers=[_Libraries(logging.WARNING)])
