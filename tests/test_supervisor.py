"""Background jobs in virtual time: those that die, those that return, and closing what does not want to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app import observe
from app.supervisor import FIRST_PAUSE, LEAST_SECONDS, LONGEST_PAUSE, STEADY_SECONDS, Closing, Supervisor
from tests.support.scripted_database import in_virtual_time
from tests.support.scripted_providers import clock

pytestmark = pytest.mark.usefixtures("default_log")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What is logged from here on, whatever other tests have configured."""
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(observe, "event", lambda name, **fields: lines.append({"event": name, **fields}))
    return lines


class Job:
    """Lives for so many seconds each time, and dies of `error`; the last time it goes on."""

    def __init__(self, *lives: float, error: BaseException | None = None) -> None:
        self.lives = list(lives)
        self.error = error or RuntimeError("a bug that says sk-secret")
        self.started: list[float] = []
        self.cancelled = False

    async def __call__(self) -> None:
        self.started.append(clock())
        try:
            if len(self.started) > len(self.lives):
                await asyncio.sleep(1e6)
            await asyncio.sleep(self.lives[len(self.started) - 1])
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise self.error


async def returns() -> None: ...


async def hangs() -> None:
    await asyncio.sleep(1e6)


async def fails() -> None:
    raise RuntimeError("sk-secret")


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), ExceptionGroup("x", [ValueError("x")]), asyncio.CancelledError(), TimeoutError()]
)
@in_virtual_time
async def test_a_job_that_dies_is_started_again_and_is_down_meanwhile(error: BaseException) -> None:
    supervisor, job = Supervisor(), Job(5, error=error)
    supervisor.keep("journal", job)
    await asyncio.sleep(4.9)
    assert supervisor.down == ()
    await asyncio.sleep(0.2)
    assert supervisor.down == ("journal",)
    await asyncio.sleep(FIRST_PAUSE)
    assert supervisor.down == ()
    assert len(job.started) == 2
    await supervisor.aclose()
    assert job.cancelled


@in_virtual_time
async def test_a_death_is_logged_without_its_words(logged: list[dict[str, object]]) -> None:
    supervisor = Supervisor()
    supervisor.keep("journal", Job(1))
    supervisor.once("limits", Job(1, error=ExceptionGroup("sk-secret", [ValueError("sk-secret")])))
    await asyncio.sleep(1.5)
    await supervisor.aclose()
    assert [(line["event"], line["task"], line["error"]) for line in logged] == [
        ("task.failed", "journal", "RuntimeError"),
        ("task.failed", "limits", "ValueError"),
    ]
    assert "sk-secret" not in str(logged)


@in_virtual_time
async def test_a_job_that_dies_again_and_again_is_left_alone_for_longer() -> None:
    supervisor, job = Supervisor(), Job(*[0.0] * 8, STEADY_SECONDS + 1)
    supervisor.keep("journal", job)
    await asyncio.sleep(400)
    pauses = [later - earlier for earlier, later in zip(job.started, job.started[1:], strict=False)]
    assert pauses[:8] == [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    # it lived for long enough: this is another trouble
    assert pauses[8] == STEADY_SECONDS + 1 + FIRST_PAUSE
    await supervisor.aclose()


@in_virtual_time
async def test_a_job_that_ought_to_go_on_and_returns_has_died() -> None:
    supervisor = Supervisor()
    supervisor.keep("watch", returns)
    await asyncio.sleep(0.1)
    assert supervisor.down == ("watch",)
    await supervisor.aclose()


@in_virtual_time
async def test_a_job_for_once_is_tried_until_it_has_returned_and_is_never_down() -> None:
    supervisor, tries = Supervisor(), []

    async def share() -> None:
        tries.append(clock())
        if len(tries) < 3:
            raise RuntimeError

    task = supervisor.once("limits", share)
    await asyncio.sleep(0.1)
    assert supervisor.down == ()
    await task
    assert len(tries) == 3
    await supervisor.aclose()


@in_virtual_time
async def test_what_does_not_close_in_time_is_left_and_what_fails_is_no_obstacle(
    logged: list[dict[str, object]],
) -> None:
    closing, closed, began = Closing(0.5), [], clock()

    async def closes() -> None:
        closed.append(clock() - began)

    parts: list[tuple[str, Callable[[], Awaitable[object]]]] = [("one", fails), ("two", hangs), ("three", hangs)]
    for name, close in (*parts, ("four", closes)):
        await closing.close(name, close)
    assert closed == [pytest.approx(0.5 + LEAST_SECONDS)]
    assert [(line["event"], line["part"]) for line in logged] == [
        ("service.unclosed", name) for name in ("one", "two", "three")
    ]
    assert "sk-secret" not in str(logged)
