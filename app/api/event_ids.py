"""The ids of a stream's events: each says how much of the reply its reader then holds, so that any replica can go on.

Without reasoning, 1 to 9 come after as many events before the text, 10 + n after n code points of text, and 11 + n at
the end of n. Once there are r code points of reasoning, the id is (r * 2^20 + n) * 2^4 + the number of events before
the text, and at the end n counts one more. Ids grow from event to event, and stay below 2^53, where JavaScript's whole
numbers end.
"""

from __future__ import annotations

from typing import NamedTuple

from app.errors import InvalidRequest

TEXT_ID = 10
MAX_PREAMBLE = 9
MAX_ID_DIGITS = 16
_TEXT_BITS, _PREAMBLE_BITS = 20, 4
_FIRST_REASONED = 1 << _TEXT_BITS << _PREAMBLE_BITS


class Place(NamedTuple):
    """How many events before the text a reader holds, and how many code points of the text and of the reasoning."""

    announced: int = 0
    offset: int = 0
    reasoned: int = 0

    @property
    def id(self) -> int:
        """Of the event after which a reader is here."""
        if self.reasoned:
            return (self.reasoned << _TEXT_BITS | self.offset) << _PREAMBLE_BITS | self.announced
        return TEXT_ID + self.offset if self.offset else self.announced

    @classmethod
    def of(cls, last_event_id: str | None, furthest: Place) -> Place:
        """Where a reader with this `Last-Event-ID` is; `furthest` has how much of text and reasoning there can be.

        Raises `InvalidRequest` for what is no id up to there.
        """
        if not last_event_id:
            return cls()
        digits = last_event_id if last_event_id.isascii() and last_event_id.isdecimal() else ""
        place = cls._read(int(digits)) if 0 < len(digits) <= MAX_ID_DIGITS else None
        if place is None or place.offset > furthest.offset or place.reasoned > furthest.reasoned:
            raise InvalidRequest(
                "Last-Event-ID: not an id of this stream; leave the header out to read from the start."
            )
        return place

    @classmethod
    def _read(cls, number: int) -> Place:
        if number < TEXT_ID:
            return cls(number)
        if number < _FIRST_REASONED:
            return cls(MAX_PREAMBLE, number - TEXT_ID)
        counts = number >> _PREAMBLE_BITS
        announced = number & (1 << _PREAMBLE_BITS) - 1
        offset = counts & (1 << _TEXT_BITS) - 1
        # A replica that reads the reply from the database does not know its `restart` events, so its readers' ids count
        # fewer events. A reader that has text gets none of them again, since a `restart` would void the text.
        return cls(MAX_PREAMBLE if offset else announced, offset, counts >> _TEXT_BITS)
