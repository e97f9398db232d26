"""Event streams by themselves: places, frames, heartbeats, and readers that leave, stall or come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.event_ids import Place
from app.api.reply_stream import MAX_FRAME_CHARACTERS
from app.api.sse import EventStream
from app.chat.live import HEARTBEAT_SECONDS, MAX_REPLY_CHARACTERS, Followers, Reply
from app.errors import ContentFlagged, Interrupted, InvalidRequest
from app.values import Done, Failed, Started, Stopped, Usage
from tests.support.sse import Transcript

STARTED = Started("c", "u", "m", "openai", "model")


def reply_of(*pieces: str) -> Reply:
    reply = Reply("m", conversation_id="c", user_id="u")
    reply.begin(STARTED.user_message_id, STARTED.provider, STARTED.model)
    for piece in pieces:
        reply.append(piece)
    return reply


def done(reply: Reply) -> Done:
    return Done("complete", "stop", Usage(1, 2), "openai", "model", reply.length)


class Connection:
    """The server's side of one reader's connection, as our server has it: ASGI, and the line of the frames."""

    def __init__(self, live: Followers, reply: Reply, after: int | None = None, *, written: bool = False) -> None:
        self.transcript = Transcript(after or 0)
        self.sent: list[dict[str, Any]] = []
        self.paused = False
        self.aborted = False
        self._changed = asyncio.Event()
        self._resumed: Callable[[], None] = lambda: None
        self._gone: Callable[[], None] = lambda: None
        stream = EventStream(live, reply, last_event_id=None if after is None else str(after), written=written)
        respond = stream.to_asgi_response(None)  # type: ignore[arg-type]
        self.responding = asyncio.create_task(respond({"parley.line": self}, None, self._send))

    def leave(self) -> None:
        self._gone()

    def take(self) -> None:
        """Take more again, after `paused`."""
        self.paused = False
        self._resumed()

    async def until(self, *, events: int = 0, comments: int = 0) -> None:
        """Wait for so many in all."""
        while len(self.transcript.events) < events or self.transcript.comments < comments:
            self._changed.clear()
            await self._changed.wait()

    async def closed(self) -> Transcript:
        await self.responding
        return self.transcript

    # ── the line ──

    def hold(self) -> None:
        """Each frame is looked at by itself."""

    def flush(self) -> None: ...

    def open(self, resumed: Callable[[], None], gone: Callable[[], None]) -> None:
        self._resumed, self._gone = resumed, gone

    def close(self) -> None:
        self._resumed = self._gone = lambda: None

    def write(self, frame: bytes) -> None:
        assert not self.paused
        self._add({"type": "http.response.body", "body": frame, "more_body": True})

    def abort(self) -> None:
        self.aborted = True
        self._gone()

    async def _send(self, message: dict[str, Any]) -> None:
        self._add(message)

    def _add(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self.transcript.feed(message.get("body", b""))
        self._changed.set()


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────


WHOLE = Place(offset=1, reasoned=500)
REASONED = (300 << 20) << 4


@pytest.mark.parametrize(
    ("last_event_id", "held"),
    [
        (None, (0, 0, 0)),
        ("", (0, 0, 0)),
        ("0", (0, 0, 0)),
        ("1", (1, 0, 0)),
        ("9", (9, 0, 0)),
        ("10", (9, 0, 0)),
        ("11", (9, 1, 0)),
        (str(REASONED + 1), (1, 0, 300)),
        # whoever holds text holds all that comes before it
        (str(REASONED + 16 + 2), (9, 1, 300)),
    ],
)
def test_place(last_event_id: str | None, held: tuple[int, int, int]) -> None:
    assert Place.of(last_event_id, WHOLE) == held


@pytest.mark.parametrize(
    "last_event_id",
    # the last three: more text, and more reasoning, than there is
    ["-1", "x", "1.0", " ", "1 ", "+1", "1_0", "\u0663", "\u00b2", "12", "9" * 5000]  # noqa: RUF005
    + [str(REASONED + 32 + 2), str((501 << 24) + 2), str(2**53)],
)
def test_place_that_is_none(last_event_id: str) -> None:
    with pytest.raises(InvalidRequest):
        Place.of(last_event_id, WHOLE)


@given(st.integers(0, 9), st.integers(0, 500_001), st.integers(0, 500_000))
def test_an_id_says_what_its_reader_holds(announced: int, offset: int, reasoned: int) -> None:
    place = Place(announced, offset, reasoned)
    held = Place.of(str(place.id), Place(offset=500_001, reasoned=500_000))
    assert (held.offset, held.reasoned) == (offset, reasoned)
    assert held.announced == (announced if not offset else 9)
    assert place.id < 2**53


async def test_a_reader_comes_back_while_what_it_holds_is_being_withdrawn() -> None:
    """Between moderation's verdict and its being stored."""
    followers, reply = Followers(), reply_of("Hello")
    reply.think("Hm.")
    held = Place(announced=1, offset=5, reasoned=3)
    reply.withdraw()
    reader = Connection(followers, reply, after=held.id, written=True)
    reply.end(Failed(ContentFlagged().problem(), "filtered", 0))
    (ending,) = (await reader.closed()).events
    assert (ending.name, ending.data["length"]) == ("error", 0)


async def test_a_reader_with_text_is_told_of_no_restart_before_it() -> None:
    """It comes from a replica that reads the reply in the database, which does not hold restarts: it would void its
    text."""
    followers, reply = Followers(), reply_of()
    reply.think("One.")
    reply.restart("broken_stream", "openai", "other")
    reply.think("Two.")
    reply.append("Hello")
    reply.end(done(reply))
    elsewhere = Place(announced=1, offset=3, reasoned=reply.reasoned)
    rest = await Connection(followers, reply, after=elsewhere.id).closed()
    assert [event.name for event in rest.events] == ["delta", "done"]
    assert rest.text == "lo"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["text", "think", "restart"]), max_size=12), st.data())
async def test_a_reader_goes_on_from_any_place_with_what_it_lacks(steps: list[str], data: st.DataObject) -> None:
    followers, reply = Followers(), reply_of()
    whole = Connection(followers, reply)
    for number, step in enumerate(steps):
        match step:
            case "text":
                reply.append(f"text{number} ")
            case "think":
                reply.think(f"thought{number} ")
            case "restart" if not reply.length and len(reply.preamble) < 5:
                reply.restart("provider_unavailable", "openai", f"m{number}")
        if data.draw(st.booleans()):
            await asyncio.sleep(0)
    reply.end(done(reply))
    seen = await whole.closed()
    assert (seen.text, seen.reasoning) == (reply.text(), reply.reasoning())
    for event in seen.events[:-1]:
        held = Transcript()
        for earlier in seen.events[: seen.events.index(event) + 1]:
            held.text += earlier.data["text"] if earlier.name == "delta" else ""
            held.reasoning += earlier.data["text"] if earlier.name == "reasoning" else ""
        rest = await Connection(followers, reply, after=event.id).closed()
        assert held.text + rest.text == reply.text()
        assert held.reasoning + rest.reasoning == reply.reasoning()


async def test_reader_may_be_ahead_of_a_reply_that_another_replica_writes() -> None:
    """It has read from the writer itself what is stored within half a second."""
    reply = reply_of("text")
    connection = Connection(Followers(), reply, after=16)
    reply.append(" and more")
    reply.end(done(reply))
    assert (await connection.closed()).text == "nd more"


async def test_reader_may_hold_more_than_is_left_of_a_reply_that_was_withdrawn() -> None:
    reply = reply_of("text")
    reply.withdraw()
    reply.end(Failed(ContentFlagged().problem(), "filtered", 0))
    (event,) = (await Connection(Followers(), reply, after=30).closed()).events
    assert (event.id, event.name, event.data["length"]) == (31, "error", 0)


async def test_no_reply_is_as_long_as_that() -> None:
    reply = reply_of("text")
    with pytest.raises(InvalidRequest):
        Connection(Followers(), reply, after=10 + MAX_REPLY_CHARACTERS + 3)
    reply.end(Failed(Interrupted().problem(), "interrupted", 4))
    with pytest.raises(InvalidRequest):
        Connection(Followers(), reply, after=10 + MAX_REPLY_CHARACTERS + 3)


# ── what a reader is sent ────────────────────────────────────────────────────────────────────────────────────────


async def test_response_of_a_stream() -> None:
    reply = reply_of("text")
    reply.end(done(reply))
    connection = Connection(Followers(), reply)
    await connection.closed()
    start, *bodies = connection.sent
    assert (start["type"], start["status"]) == ("http.response.start", 200)
    assert dict(start["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


async def test_a_line_is_one_line_to_every_reader_of_lines() -> None:
    text = "one\x85two\u2028three\u2029four\x0bfive\x0csix\x1cseven\r\neight 日本 😀"
    reply = reply_of(text)
    reply.end(done(reply))
    connection = Connection(Followers(), reply)
    assert (await connection.closed()).text == text
    body = b"".join(message.get("body", b"") for message in connection.sent).decode()
    assert body.splitlines() == body.removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        (Done("complete", "stop", None, "openai", "model", 4), "done"),
        (Done("filtered", "content_filter", Usage(1, 2, 3), None, None, 4), "done"),
        (Stopped(Usage(1, 2), 4), "stopped"),
        (Failed(Interrupted().problem(), "interrupted", 4), "error"),
    ],
)
async def test_ending(ending: Done | Stopped | Failed, name: str) -> None:
    reply = reply_of("text")
    reply.end(ending)
    transcript = await Connection(Followers(), reply).closed()
    assert [event.name for event in transcript.events] == ["message.started", "delta", name]
    assert transcript.text == "text"


async def test_reader_sees_what_comes_as_it_comes() -> None:
    reply = reply_of()
    connection = Connection(Followers(), reply)
    await connection.until(events=1)
    for index, piece in enumerate(("a😀", "b", "c\r\n")):
        reply.append(piece)
        await connection.until(events=index + 2)
        assert connection.transcript.events[-1].data == {"text": piece}
    reply.end(done(reply))
    assert (await connection.closed()).text == "a😀bc\r\n"


async def test_restart_comes_before_the_text() -> None:
    reply = reply_of()
    connection = Connection(Followers(), reply)
    reply.restart("unreachable", "claude", "other")
    reply.append("text")
    reply.end(done(reply))
    transcript = await connection.closed()
    assert [(event.id, event.name) for event in transcript.events[:2]] == [(1, "message.started"), (2, "restart")]


async def test_who_falls_behind_gets_what_was_missed_in_one_piece() -> None:
    reply = reply_of()
    connection = Connection(Followers(), reply)
    await connection.until(events=1)
    connection.paused = True
    for index in range(100):
        reply.append(f"{index} ")
        await asyncio.sleep(0)
    connection.take()
    reply.end(done(reply))
    transcript = await connection.closed()
    assert transcript.text == "".join(f"{index} " for index in range(100))
    assert len(transcript.named("delta")) <= 2


async def test_long_text_is_caught_up_with_in_pieces() -> None:
    reply = reply_of("😀" * (2 * MAX_FRAME_CHARACTERS + 5))
    reply.end(done(reply))
    transcript = await Connection(Followers(), reply).closed()
    assert [len(event.data["text"]) for event in transcript.named("delta")] == [MAX_FRAME_CHARACTERS] * 2 + [5]


async def test_long_reasoning_is_caught_up_with_in_pieces_before_the_text() -> None:
    reply = reply_of()
    reply.think("😀" * (2 * MAX_FRAME_CHARACTERS + 5))
    reply.append("42")
    reply.end(done(reply))
    transcript = await Connection(Followers(), reply).closed()
    assert [event.name for event in transcript.events[1:]] == ["reasoning"] * 3 + ["delta", "done"]
    pieces = [len(event.data["text"]) for event in transcript.named("reasoning")]
    assert pieces == [MAX_FRAME_CHARACTERS] * 2 + [5]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1)), st.data())
def test_any_reader_at_any_time_reads_the_same(pieces: list[str], data: st.DataObject) -> None:
    """Coming before, between and after the pieces, and going on from anywhere."""
    whole = "".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(pieces)), max_size=4))
    afters = [data.draw(st.none() | st.integers(0, 10 + len("".join(pieces[:cut])))) for cut in cuts]

    async def read() -> list[Transcript]:
        live, reply = Followers(), reply_of()
        connections: list[Connection] = []
        for number in range(len(pieces) + 1):
            connections += [
                Connection(live, reply, after) for cut, after in zip(cuts, afters, strict=True) if cut == number
            ]
            await asyncio.sleep(0)
            if number < len(pieces):
                reply.append(pieces[number])
        reply.end(done(reply))
        transcripts = [await connection.closed() for connection in connections]
        assert not reply.followers
        return transcripts

    for transcript in asyncio.run(read()):
        assert transcript.text == whole[max(0, transcript.after - 10) :]
        assert transcript.ending is not None


async def test_frame_is_encoded_once_for_all_who_are_up_to_date() -> None:
    live, reply = Followers(), reply_of()
    connections = [Connection(live, reply) for _ in range(3)]
    for connection in connections:
        await connection.until(events=1)
    reply.append("text")
    for connection in connections:
        await connection.until(events=2)
    first, *others = (connection.sent[-1]["body"] for connection in connections)
    assert all(other is first for other in others)
    for connection in connections:
        connection.leave()
        await connection.closed()


# ── silence, leaving, stalling, draining ─────────────────────────────────────────────────────────────────────────


async def test_heartbeat_is_a_comment_and_no_event() -> None:
    reply = reply_of("text")
    connection = Connection(Followers(), reply)
    await connection.until(events=2)
    [follower] = reply.followers
    for number in (1, 2):
        follower.watch(asyncio.get_running_loop().time() + HEARTBEAT_SECONDS + 1)
        await connection.until(comments=number)
    assert connection.sent[-1]["body"] == b": keep-alive\n\n"
    assert len(connection.transcript.events) == 2
    connection.leave()
    await connection.closed()


async def test_reader_that_leaves_is_followed_no_longer() -> None:
    live, reply = Followers(), reply_of("text")
    staying, leaving = Connection(live, reply), Connection(live, reply)
    await leaving.until(events=2)
    leaving.leave()
    await leaving.closed()
    assert len(reply.followers) == 1
    assert reply.ending is None
    reply.append(" and more")
    reply.end(done(reply))
    assert (await staying.closed()).text == "text and more"
    assert leaving.transcript.text == "text"


async def test_reader_that_takes_nothing_is_cut() -> None:
    """Its connection is closed at once: what waits for it in the server's buffer would never go."""
    live, reply = Followers(), reply_of()
    connection = Connection(live, reply)
    await connection.until(events=1)
    connection.paused = True
    reply.append("text")
    [follower] = reply.followers
    assert follower._sending
    follower.drop()
    await connection.closed()
    assert connection.aborted
    assert not reply.followers


async def test_idle_reader_that_is_dropped_is_not_aborted() -> None:
    reply = reply_of("text")
    connection = Connection(Followers(), reply)
    await connection.until(events=2)
    [follower] = reply.followers
    follower.drop()
    await connection.closed()
    assert not connection.aborted


async def test_draining_sends_readers_elsewhere_with_all_there_is() -> None:
    live, reply = Followers(), reply_of()
    early = Connection(live, reply)
    await early.until(events=1)
    reply.append("text")
    live.drain()
    late = Connection(live, reply)
    for connection in (early, late):
        transcript = await connection.closed()
        assert [event.name for event in transcript.events] == ["message.started", "delta", "reconnect"]
        assert connection.sent[-1]["more_body"] is False
    assert transcript.last_id == 14


async def test_end_is_told_even_while_draining() -> None:
    live, reply = Followers(), reply_of("text")
    reply.end(done(reply))
    live.drain()
    assert [event.name for event in (await Connection(live, reply).closed()).events][-1] == "done"
