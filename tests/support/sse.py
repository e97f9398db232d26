"""A strict reader of a reply's event stream, from its bytes.

    transcript = Transcript()            # or Transcript(after=last_id) to go on
    transcript.feed(chunk)               # as often as bytes arrive; AssertionError on any breach
    transcript.text, transcript.ending   # what the reader holds

Ids grow, and say what the reader holds: a delta's is 10 plus the length of the text so far, and once there was
reasoning, (its length * 2^20 + that of the text) * 16 plus the number of events before the text. Nothing follows the
one terminal event, whose id counts one more, and whose `length` is that of the text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"done", "stopped", "error"})
PREAMBLE = frozenset({"message.started", "sources", "restart"})
NAMES = frozenset({"reasoning", "delta", "reconnect"}) | PREAMBLE | TERMINAL
TEXT_ID = 10
FIRST_REASONED = 1 << 24


@dataclass(frozen=True)
class Event:
    """One event; only `reconnect` has no id."""

    id: int | None
    name: str
    data: dict[str, Any]


@dataclass
class Transcript:
    """What one reader has received. `after` is the Last-Event-ID that it came with, 0 for none."""

    after: int = 0
    events: list[Event] = field(default_factory=list)
    text: str = ""
    reasoning: str = ""
    comments: int = 0
    _buffer: bytes = b""

    def feed(self, chunk: bytes) -> None:
        *frames, self._buffer = (self._buffer + chunk).split(b"\n\n")
        for frame in frames:
            self._frame(frame.decode())

    @property
    def last_id(self) -> int:
        """The Last-Event-ID to go on with."""
        return next((event.id for event in reversed(self.events) if event.id is not None), self.after)

    @property
    def length(self) -> int:
        """Code points of the reply that the reader holds, those from before included."""
        before = (self.after >> 4) % (1 << 20) if self.after >= FIRST_REASONED else max(0, self.after - TEXT_ID)
        return before + len(self.text)

    @property
    def reasoned(self) -> int:
        """Code points of reasoning that the reader holds, likewise."""
        return (self.after >> 24) + len(self.reasoning)

    @property
    def ending(self) -> Event | None:
        """The terminal event, once it is there."""
        return self.events[-1] if self.events and self.events[-1].name in TERMINAL else None

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def _frame(self, frame: str) -> None:
        assert self.ending is None, f"after the terminal event: {frame!r}"
        if frame.startswith(":"):
            assert "\n" not in frame
            self.comments += 1
            return
        fields = dict(line.split(": ", 1) for line in frame.split("\n"))
        name, data = fields.pop("event"), json.loads(fields.pop("data"))
        number = int(fields.pop("id")) if "id" in fields else None
        assert not fields, f"unknown fields in {frame!r}"
        assert name in NAMES, name
        assert (number is None) == (name == "reconnect"), frame
        assert number is None or number > self.last_id, f"{number} after {self.last_id}"
        if name == "delta":
            assert data["text"], "an empty delta"
            self.text += data["text"]
            assert self._says(number, self.length)
        elif name == "reasoning":
            assert data["text"], "empty reasoning"
            self.reasoning += data["text"]
            assert self._says(number, self.length)
        elif name in TERMINAL:
            assert self._says(number, self.length + 1)
            # at the end moderation may take the whole text back, and a deletion does
            withdrawn = name == "error" and data["problem"]["code"] in ("content_flagged", "not_found")
            assert data["length"] == (0 if withdrawn else self.length)
        elif number is not None:
            assert number < TEXT_ID or self.reasoned, "what comes before the text has the ids before it"
            assert not self.text
        self.events.append(Event(number, name, data))

    def _says(self, number: int | None, length: int) -> bool:
        """Whether the id says that its reader holds so much text, and the reasoning that there is."""
        assert number is not None
        if not self.reasoned:
            return number == TEXT_ID + length
        return number >> 4 == (self.reasoned << 20) + length and number % 16 > 0
