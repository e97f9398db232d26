"""However a reply ends, whoever asks for it later, and wherever, is told what those were told who saw it end.

In virtual time, for every way to end that the code knows; `tests/faults/test_same_end.py` does it with real parts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import pytest

from app import errors
from app.api.views import MessageView
from app.chat.endings import Cut, ending_of
from app.chat.finder import ReplyFinder
from app.chat.live import MAX_REPLY_CHARACTERS, Reply
from app.errors import (
    ERRORS,
    AppError,
    BrokenStream,
    ContentFlagged,
    ContextTooLong,
    ProviderError,
    SupabaseUnavailable,
    Unreachable,
)
from app.providers.base import Verdict
from app.store.rows import StoredMessage
from app.values import Failed, Finish, Problem, Usage
from tests.chat.scene import LONG, Person, Scene, scene
from tests.support.scripted_database import Database, Row, in_virtual_time, unavailable
from tests.support.scripted_providers import Play, failure

SECRET = "sk-secret"
USAGE = Usage(7, 3, 2, 1)


class Nowhere:
    """A process that writes nothing."""

    def find(self, message_id: str) -> None: ...


@dataclass
class Judge:
    """A moderator: its verdicts, one a text."""

    verdicts: Sequence[Verdict | ProviderError]
    checked: int = 0

    async def check(self, _: str) -> Verdict:
        await asyncio.sleep(0.2)
        verdict = self.verdicts[self.checked]
        self.checked += 1
        if isinstance(verdict, ProviderError):
            raise verdict
        return verdict

    async def aclose(self) -> None: ...


Act = Callable[[Scene, Reply], Awaitable[object]]


async def nothing(*_: object) -> None: ...


async def stop(on: Scene, reply: Reply) -> None:
    await asyncio.sleep(2)
    await on.turns.stop(Person(), reply.id)


async def stop_from_elsewhere(on: Scene, reply: Reply) -> None:
    await asyncio.sleep(2)
    on.database.rows[reply.id].stop_requested = True


async def drain(on: Scene, _: Reply) -> None:
    await asyncio.sleep(2)
    await on.turns.drain(1)


async def lose_the_database(on: Scene, _: Reply) -> None:
    await asyncio.sleep(2)
    on.database.before = unavailable
    await asyncio.sleep(70)
    on.database.before = lambda _: None


async def delete(on: Scene, reply: Reply) -> None:
    await asyncio.sleep(2)
    del on.database.rows[reply.id]


ALLOWED, FLAGGED = Verdict(flagged=False), Verdict(flagged=True, categories=("violence",))
ENDLESS: Play = ("word ", 0.1) * 2000
CUTS: dict[Cut, tuple[Act, Judge | None, tuple[str, str | None] | None]] = {
    Cut.STOPPED: (stop, None, ("stopped", None)),
    Cut.REFUSED: (nothing, Judge([FLAGGED]), ("filtered", "content_flagged")),
    Cut.DELETED: (delete, None, None),
    Cut.OUTAGE: (lose_the_database, None, ("failed", "supabase_unavailable")),
    Cut.SHUTDOWN: (drain, None, ("interrupted", "interrupted")),
}
"""What brings each about, and what is stored then."""
NO_VERDICT = failure(Unreachable)


def kinds(root: type[Exception]) -> list[type[Exception]]:
    """`root` and every kind of it in `app.errors`."""
    own = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(kind for child in own for kind in kinds(child))]


def told(error: type[AppError]) -> AppError:
    """An occurrence of it that has a status and a detail of its own."""
    return ContentFlagged(categories=["violence"]) if error is ContentFlagged else error("Why.", status=418)


async def assert_told_alike(on: Scene, act: Act = nothing) -> StoredMessage | None:
    """Send, have `act` happen, and compare what every reader is told. Returns the stored reply, if there is one."""
    elsewhere = ReplyFinder(on.database, Nowhere())  # type: ignore[arg-type]
    _, live = await on.send()
    followed = await elsewhere.open(Person(), live.id)
    _, _, followed = await asyncio.gather(act(on, live), live.ended(), _ended(elsewhere, followed))
    assert live.ending is not None
    if live.id not in on.database.rows:  # deleted: nobody can come later
        assert followed.ending == live.ending
        return None
    for readers in (elsewhere, ReplyFinder(on.database, Nowhere())):  # type: ignore[arg-type]
        later = await readers.open(Person(), live.id)
        # to the byte, as it is sent
        assert msgspec.json.encode(later.ending) == msgspec.json.encode(live.ending)
        assert later.text() == live.text()
    assert (followed.ending, followed.text()) == (live.ending, live.text())
    stored = on.database.stored(live.id)
    view = MessageView.of(stored)
    assert view.problem == (live.ending.problem if isinstance(live.ending, Failed) else None)
    return stored


async def _ended(readers: ReplyFinder, reply: Reply) -> Reply:
    """Read to the end what another replica writes; after an outage, by connecting again."""
    while True:
        await reply.ended()
        if reply.ending is not None:
            return reply
        with suppress(SupabaseUnavailable):
            await asyncio.sleep(5)
            reply = await readers.open(Person(), reply.id)


@pytest.mark.parametrize(
    "play",
    [
        ("all of it", Finish("stop", USAGE)),
        ("without a count", Finish("stop", None)),
        ("as much as fits", Finish("length", USAGE)),
        ("until the filter", Finish("content_filter", USAGE)),
        (Finish("content_filter", None),),
        ("x" * MAX_REPLY_CHARACTERS, "y", Finish("stop", USAGE)),
        ("half",),
        ("half", RuntimeError(SECRET)),
        (RuntimeError(SECRET),),
    ],
)
@in_virtual_time
async def test_ends_by_its_provider(play: Play) -> None:
    async with scene(play) as on:
        assert await assert_told_alike(on)


@pytest.mark.parametrize("text", [(), ("half",)], ids=["before-text", "after-text"])
@pytest.mark.parametrize("kind", kinds(ProviderError))
@in_virtual_time
async def test_fails_by_its_provider(kind: type[ProviderError], text: Play) -> None:
    async with scene(otherwise=(*text, failure(kind))) as on:
        stored = await assert_told_alike(on)
        assert stored is not None
        # a context that the text has filled is the reply's length
        full = kind is ContextTooLong and text
        assert stored.status in (("complete",) if full else ("failed", "filtered"))
        assert (stored.problem is None) == (stored.status in ("filtered", "complete"))


@pytest.mark.parametrize("error", [error for error in kinds(AppError) if "code" in vars(error)])
@in_virtual_time
async def test_fails_by_an_error_of_ours(error: type[AppError]) -> None:
    async with scene(("half", told(error))) as on:
        stored = await assert_told_alike(on)
        assert stored is not None
        assert stored.problem == told(error).problem()
        assert stored.error_code == error.code


@pytest.mark.parametrize("why", Cut)
@in_virtual_time
async def test_is_cut_short(why: Cut) -> None:
    act, judge, expected = CUTS[why]
    async with scene(ENDLESS, moderator=judge) as on:
        stored = await assert_told_alike(on, act)
        assert (stored and (stored.status, stored.error_code)) == expected


@in_virtual_time
async def test_is_stopped_from_elsewhere() -> None:
    async with scene(LONG) as on:
        stored = await assert_told_alike(on, stop_from_elsewhere)
        assert stored is not None
        assert stored.status == "stopped"


@pytest.mark.parametrize(
    ("verdicts", "status", "code"),
    [
        ([FLAGGED], "filtered", "content_flagged"),
        ([ALLOWED, FLAGGED], "filtered", "content_flagged"),
        ([NO_VERDICT], "failed", "provider_unavailable"),
        # readers elsewhere hold text that is taken back
        ([ALLOWED, NO_VERDICT], "failed", "provider_unavailable"),
    ],
    ids=["input", "output", "no-verdict-on-input", "no-verdict-on-output"],
)
@in_virtual_time
async def test_is_refused_by_moderation(verdicts: list[Verdict | ProviderError], status: str, code: str) -> None:
    async with scene(("text ", 2.0, "and more", Finish("stop", USAGE)), moderator=Judge(verdicts)) as on:
        stored = await assert_told_alike(on)
        assert stored is not None
        assert (stored.status, stored.error_code, stored.content) == (status, code, "")


@in_virtual_time
async def test_is_stopped_at_the_moment_its_message_is_flagged() -> None:
    stops: list[asyncio.Task[StoredMessage]] = []

    class Stopping(Judge):
        async def check(self, text: str) -> Verdict:
            verdict = await super().check(text)
            stops.append(asyncio.create_task(on.turns.stop(Person(), next(iter(on.database.rows)))))
            return verdict

    async with scene(ENDLESS, moderator=Stopping([FLAGGED])) as on:
        stored = await assert_told_alike(on)
        assert stored is not None
        assert (stored.status, stored.content, stored.flagged) == ("stopped", "", ("violence",))


@in_virtual_time
async def test_the_end_of_a_stopped_reply_is_not_stored_by_a_task_that_counts_as_cancelled() -> None:
    """Libraries look at that count to tell their own cancellations from those of others."""
    counts: list[int] = []

    class Counting(Judge):
        async def check(self, text: str) -> Verdict:
            task = asyncio.current_task()
            assert task is not None
            counts.append(task.cancelling())
            return await super().check(text)

    async with scene(LONG, moderator=Counting([ALLOWED, ALLOWED])) as on:
        stored = await assert_told_alike(on, stop)
        assert stored is not None
        assert (stored.status, counts) == ("stopped", [0, 0])


@pytest.mark.parametrize("play", [(asyncio.CancelledError(),), ("half", asyncio.CancelledError())])
@in_virtual_time
async def test_fails_when_what_it_awaits_is_cancelled_by_somebody_else(play: Play) -> None:
    async with scene(play) as on:
        stored = await assert_told_alike(on)
        assert stored is not None
        assert (stored.status, stored.error_code) == ("failed", "internal_error")


@in_virtual_time
async def test_what_is_stored_of_a_failure_holds_no_words_of_anyone_else() -> None:
    """Neither the provider's, which may quote a key or the message, nor those of an error that nobody expected."""
    for error in (failure(BrokenStream), ProviderError(SECRET, provider="openai"), RuntimeError(SECRET)):
        error.args = (f"{SECRET} hello",)
        async with scene(("half", error)) as on:
            stored = await assert_told_alike(on)
            assert stored is not None
            shown = json.dumps(msgspec.to_builtins(stored.problem))
            assert SECRET not in shown
            assert "hello" not in shown


# ── rows without a stored problem ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row(status="failed", error_code="provider_unavailable"), ERRORS["provider_unavailable"]().problem()),
        (Row(status="failed", error_code="of a later version"), AppError().problem()),
        (Row(status="failed"), AppError().problem()),
        (Row(status="interrupted"), ERRORS["interrupted"]().problem()),
        (Row(status="interrupted", error_code="interrupted"), ERRORS["interrupted"]().problem()),
        (
            Row(status="filtered", error_code="content_flagged", flagged=["violence"]),
            ContentFlagged(categories=["violence"]).problem(),
        ),
        (Row(status="filtered", finish_reason="content_filter"), None),
        (Row(status="complete", finish_reason="stop"), None),
        (Row(status="stopped"), None),
        (Row(status="stopped", flagged=["violence"]), None),
        (Row(status="filtered", finish_reason="content_filter", flagged=["violence"]), None),
    ],
)
@in_virtual_time
async def test_a_row_of_an_earlier_version_is_read_by_its_code(row: Row, problem: Problem | None) -> None:
    database = Database(rows={"0": row})
    reply = await ReplyFinder(database, Nowhere()).open(Person(), "0")  # type: ignore[arg-type]
    final = database.stored("0").final(0)
    assert final is not None
    assert reply.ending == ending_of(final)
    assert final.problem == problem == MessageView.of(database.stored("0")).problem
