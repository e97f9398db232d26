"""Findings: what a check has found, how checks are run, each in bounded time, and how findings are shown."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Literal

import msgspec

from app.errors import AppError, SupabaseRefused

Status = Literal["ok", "warning", "failed", "skipped"]
Check = Callable[[], Awaitable["Finding"]]

EXIT_CODES: Mapping[Status, int] = {"ok": 0, "skipped": 0, "warning": 1, "failed": 2}
NOTICEABLE_MILLISECONDS = 10
"""A check that is quicker has asked nobody."""
SHORTEST_SECRET = 4
"""Characters, as for the log: a shorter key is a placeholder, and may be part of ordinary words."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check. `detail` is one sentence without a key; `todo` is what to do about it."""

    status: Status
    detail: str
    todo: str | None = None
    name: str = ""
    milliseconds: int | None = None


class Report(msgspec.Struct, frozen=True):
    """All findings. `status` is the worst of them."""

    status: Status
    checks: Sequence[Finding]


def ok(detail: str) -> Finding:
    return Finding(status="ok", detail=detail)


def warning(detail: str, todo: str) -> Finding:
    return Finding(status="warning", detail=detail, todo=todo)


def failed(detail: str, todo: str | None = None) -> Finding:
    return Finding(status="failed", detail=detail, todo=todo)


def skipped(detail: str) -> Finding:
    return Finding(status="skipped", detail=detail)


async def carried_out(checks: Mapping[str, Check], seconds: float) -> list[Finding]:
    """Run all checks at the same time, each for at most `seconds`. One that fails does not end the others."""
    return await asyncio.gather(*(_carried_out(name, check, seconds) for name, check in checks.items()))


async def _carried_out(name: str, check: Check, seconds: float) -> Finding:
    started = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            found = await check()
    except SupabaseRefused as error:
        found = failed(str(error))
    except AppError as error:
        found = failed(str(error), "correct SUPABASE_URL; a hosted project may be paused")
    except TimeoutError:
        found = failed(f"no answer within {seconds:g} s", "see whether this machine reaches the other side at all")
    except Exception as error:
        # its text is left out, as it may hold a key
        found = failed(f"the check itself failed ({type(error).__name__})", "please report this as a fault of Parley")
    took = round(1000 * (time.monotonic() - started))
    return msgspec.structs.replace(found, name=name, milliseconds=took)


def report(findings: Sequence[Finding], secrets: Collection[str]) -> Report:
    """All findings, without the secrets, and their worst status."""
    shown = [_without(finding, secrets) for finding in findings]
    found = {finding.status for finding in findings}
    return Report("failed" if "failed" in found else "warning" if "warning" in found else "ok", shown)


def lines(whole: Report) -> list[str]:
    """The report for people: a line for each finding, and the counts."""
    width = max((len(finding.name) for finding in whole.checks), default=0)
    shown = []
    for finding in whole.checks:
        word = "FAILED" if finding.status == "failed" else finding.status
        took = f" ({finding.milliseconds} ms)" if (finding.milliseconds or 0) >= NOTICEABLE_MILLISECONDS else ""
        end = "" if finding.detail.endswith((".", "?")) else "."
        todo = f"{end} To do: {finding.todo}" if finding.todo else ""
        shown.append(f"{word:<8} {finding.name:<{width}}  {finding.detail}{took}{todo}")
    counts = Counter(finding.status for finding in whole.checks)
    words: dict[Status, str] = {"ok": "ok", "warning": "with a warning", "failed": "FAILED", "skipped": "skipped"}
    return [*shown, ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])]


def _without(finding: Finding, secrets: Collection[str]) -> Finding:
    detail, todo = finding.detail, finding.todo
    for secret in sorted((one for one in secrets if len(one) >= SHORTEST_SECRET), key=len, reverse=True):
        detail = detail.replace(secret, "[key]")
        todo = todo.replace(secret, "[key]") if todo else todo
    return msgspec.structs.replace(finding, detail=" ".join(detail.split()), todo=todo)
