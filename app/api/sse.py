"""A reply as server-sent events, from any position in it.

The id of an event says how much of the reply its reader then holds, see `event_ids` and `docs/architecture.md`.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import msgspec

from app.api.event_ids import TEXT_ID, Place
from app.api.reply_stream import MAX_FRAME_CHARACTERS, ReplyStream
from app.chat.live import MAX_REASONING_CHARACTERS, MAX_REPLY_CHARACTERS, Follower, Followers, Reply
from app.values import Done, Ending, Failed, Preamble, Restart, Sources, Started, Stopped

TOLD_AGAIN = 2
"""How far beyond the text the id of its end may be: 1, or 2 for a reader that comes back after it."""
RECONNECT = b"event: reconnect\ndata: {}\n\n"
_NAMES: dict[type[msgspec.Struct], bytes] = {
    Started: b"message.started",
    Sources: b"sources",
    Restart: b"restart",
    Done: b"done",
    Stopped: b"stopped",
    Failed: b"error",
}
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
"""No line ends of an event stream, but to many readers of lines they are; JSON has another way to write them."""


def encoded(data: object) -> bytes:
    """JSON for the `data` of an event: no reader of lines finds an end of a line in it."""
    text = msgspec.json.encode(data)
    if not text.isascii():
        for character, escaped in _LINE_ENDS:
            text = text.replace(character, escaped)
    return text


def _furthest(reply: Reply, *, written: bool) -> Place:
    """How much of `reply` any reader can have been given, by any replica.

    A reply that is written here, or was stored whole, is as long as any reader has seen it. Another one may be behind
    what its writer has shown, and one that failed may have lost or withdrawn what its readers hold.
    """
    if isinstance(reply.ending, Done | Stopped):
        return Place(offset=reply.length + TOLD_AGAIN, reasoned=reply.reasoned)
    if written and reply.ending is None and not reply.withdrawn:
        return Place(offset=reply.length, reasoned=reply.reasoned)
    return Place(offset=MAX_REPLY_CHARACTERS + TOLD_AGAIN, reasoned=MAX_REASONING_CHARACTERS)


def _event_frame(number: int, event: Preamble | Ending) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, _NAMES[type(event)], encoded(event))


class _Events:
    """One reply as the events of the native API. The newest text and reasoning are encoded once for all readers that
    are up to date."""

    trails = False

    __slots__ = ("_reasoning", "_reasoning_id", "_reasoning_start", "_text", "_text_id", "_text_start")

    def __init__(self) -> None:
        self._text_start = self._text_id = self._reasoning_start = self._reasoning_id = 0
        self._text = self._reasoning = b""

    def text(self, follower: Follower) -> bytes:
        """The next text of `follower` as one event."""
        start = follower.offset
        end = follower.take_text(MAX_FRAME_CHARACTERS)
        number = _place(follower).id if follower.reasoned else TEXT_ID + end
        if start != self._text_start or number != self._text_id:
            text = follower.reply.text(start)[: end - start]
            self._text = b'id: %d\nevent: delta\ndata: {"text":%s}\n\n' % (number, encoded(text))
            self._text_start, self._text_id = start, number
        return self._text

    def reasoning(self, follower: Follower) -> bytes:
        """The next reasoning of `follower` as one event."""
        start = follower.reasoned
        text = follower.take_reasoning(MAX_FRAME_CHARACTERS)
        number = _place(follower).id
        if start != self._reasoning_start or number != self._reasoning_id:
            self._reasoning = b'id: %d\nevent: reasoning\ndata: {"text":%s}\n\n' % (number, encoded(text))
            self._reasoning_start, self._reasoning_id = start, number
        return self._reasoning

    def news(self, follower: Follower) -> bytes:
        """Everything that the follower has not been sent yet."""
        reply = follower.reply
        news = b""
        if follower.announced < len(reply.preamble):
            held = _place(follower)
            news = b"".join(
                _event_frame(held._replace(announced=number).id, event) for number, event in follower.take_announced()
            )
        if follower.reasoned < reply.reasoned:
            news += self.reasoning(follower)
            if follower.reasoned < reply.reasoned:  # the rest of it comes before the text
                return news
        if follower.offset < reply.length:
            text = self.text(follower)
            return news + text if news else text
        return news

    def ended(self, follower: Follower, ending: Ending) -> bytes:
        """The one terminal event."""
        reply = follower.reply
        # the reader of a withdrawn reply holds more than the reply has, and ids only go up
        held = max(reply.length, follower.offset)
        if not isinstance(ending, Failed):
            held = min(held, reply.length + TOLD_AGAIN - 1)
        end = Place(follower.announced, held + 1, max(reply.reasoned, follower.reasoned))
        return _event_frame(end.id, ending)

    def elsewhere(self, follower: Follower) -> bytes:
        return RECONNECT

    async def after(self, follower: Follower) -> bytes:
        return b""


def _place(follower: Follower) -> Place:
    return Place(follower.announced, follower.offset, follower.reasoned)


_events: WeakKeyDictionary[Reply, _Events] = WeakKeyDictionary()


class EventStream(ReplyStream):
    """The events of `reply` for one reader."""

    def __init__(
        self,
        followers: Followers,
        reply: Reply,
        *,
        last_event_id: str | None = None,
        written: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        """`written`: this process writes the reply."""
        held = Place.of(last_event_id, _furthest(reply, written=written))
        # refused here, before the response starts, when there are too many readers
        follower = followers.follow(reply, announced=held.announced, offset=held.offset, reasoned=held.reasoned)
        super().__init__(followers, follower, _events.setdefault(reply, _Events()), headers=headers)
