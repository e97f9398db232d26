"""Framing: cuts a byte stream into payloads of one JSON document each, from server-sent events or from lines."""

from __future__ import annotations

import re

import msgspec

EVENT_LIMIT = 1024 * 1024
"""The most bytes of an unfinished event that are kept. The event of a token has a few hundred. In a larger event, long
runs of base64 (an image inside the JSON) are cut out; an event that is still too large is skipped."""

LARGE = 64 * 1024
"""An unfinished event of this many bytes or more is treated as large."""

_BOM = b"\xef\xbb\xbf"
# The look-behind makes the search try each run only once, at its first character. PHP's JSON writes a slash as `\/`.
_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/=_\\-])(?:[A-Za-z0-9+/=_-]|\\/){4096,}")
# The border between two events of a server that leaves out the blank line, or everything but the JSON: JSON ends, and
# JSON or [DONE] begins. Inside one document there is a comma between the two.
_NEXT_EVENT = re.compile(rb"(?<=\})\n\s*(?=(?:event:[^\n]*\n)?(?:data: ?)?[{\[])")
_DONE = b"data: [DONE]"
_JSON = (b"{", b"[")
_JSON_ENDS = (b"}", b"]")
_OTHER_FIELDS = (b"event:", b"id:", b"retry:", b":")


class _Framing:
    """Keeps the bytes of the event that is not complete yet, at most `EVENT_LIMIT` of them."""

    _end_of_event: bytes

    def __init__(self) -> None:
        self._tail = b""
        self._passing_over = False
        self._large: list[bytes] = []
        """The reads of a large event. They are joined once, because joining at every read would copy all of them."""
        self._size = 0

    def _joined(self, data: bytes) -> bytes:
        """The kept bytes and `data`, without the rest of an event that is skipped. Empty when no event ends here."""
        if self._passing_over:
            return self._after_the_end(data)
        if len(self._tail) < LARGE:
            return self._tail + data
        self._large.append(data)
        self._size += len(data)
        if b"\n" not in data and len(self._tail) + self._size <= EVENT_LIMIT:
            return b""
        joined = b"".join((self._tail, *self._large))
        self._large.clear()
        self._size = 0
        return joined

    def _after_the_end(self, data: bytes) -> bytes:
        _, end, rest = (self._tail + data).partition(self._end_of_event)
        self._passing_over = not end
        self._tail = b"" if end else self._half_an_end(data)
        return rest

    def _kept(self, tail: bytes) -> bytes:
        """The bytes to keep of an unfinished event."""
        if len(tail) > EVENT_LIMIT:
            tail = _BASE64.sub(b"", tail)
        if len(tail) <= EVENT_LIMIT:
            return tail
        self._passing_over = True
        return self._half_an_end(tail)

    def _half_an_end(self, data: bytes) -> bytes:
        return data[-1:] if len(self._end_of_event) > 1 and data.endswith(b"\n") else b""

    def _rest(self) -> bytes:
        """The unfinished event at the end of the stream."""
        return b"" if self._passing_over else b"".join((self._tail, *self._large))


class Events(_Framing):
    """Server-sent events. A payload is an event's data, its lines joined as the standard says.

    Ids, comments and unknown fields are ignored, and so are event names, since every provider also names the kind of an
    event inside its JSON. With `names`, events of other names are left out, unless their data has one of the names. The
    data of an event named `error` is given as the `error` of a JSON object. These violations of the standard, which
    real servers have, are accepted:

    * a bare JSON document where an event should be: Gemini's errors inside a stream, a server that ignores `stream`;
    * JSON lines, under the media type of events;
    * no blank line between two events, or one with blanks;
    * JSON over several lines, of which only the first one is marked as data;
    * `error: {…}` (llama.cpp up to 2025, https://github.com/ggml-org/llama.cpp/pull/16109).

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    _end_of_event = b"\n\n"

    def __init__(self, names: frozenset[bytes] | None = None) -> None:
        super().__init__()
        self._names = names
        # what may come before the data line of an event that has only one
        self._heads = frozenset({b"", *(b"event: " + name for name in names or ())})
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes."""
        if data.startswith(b"data: ") and not (self._tail or self._passing_over or self._after_cr):
            self._started = True
            if payloads := _of_one_line(data):
                return payloads
        if b"\r" in data or self._after_cr:
            data = self._with_newlines(data)
        if self._tail or self._passing_over:
            data = self._joined(data)
            if not data:
                return []
        if not self._started:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._tail = data
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        *events, tail = data.split(b"\n\n")
        if tail:
            if b"}\n" in tail:
                *whole, tail = _NEXT_EVENT.split(tail)
                events += whole
            if tail.startswith(_DONE):
                events.append(tail)
                tail = b""
            tail = self._kept(tail)
        self._tail = tail
        return self._payloads(events)

    def end(self) -> list[bytes]:
        """The payloads of events whose blank line is missing because the stream ended."""
        return self._payloads([self._rest()])

    def _payloads(self, events: list[bytes]) -> list[bytes]:
        payloads = []
        heads = self._heads
        for event in events:
            before, _, line = event.rpartition(b"\n")
            if before in heads and line.startswith(b"data: "):
                payloads.append(line[6:])
            else:
                payloads += (_payload_of_lines(part, self._names) for part in _NEXT_EVENT.split(event))
        return [*filter(None, payloads)]

    def _with_newlines(self, data: bytes) -> bytes:
        """`data` with every CRLF and CR replaced by LF, also when a CRLF is split between two reads."""
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _of_one_line(data: bytes) -> list[bytes]:
    """The payloads if all events in `data` are complete and have one data line each, as nearly always; else none."""
    if data.endswith(b"\n\n") and data.count(b"\n") == 2 and b"\r" not in data:
        return [data[6:-2]]
    newline = b"\r\n" if data.endswith(b"\r\n") else b"\n"
    end = newline * 2
    if not data.endswith(end):
        return []
    payloads = data[6 : -len(end)].split(end + b"data: ")
    lines = 2 * len(payloads)
    returns = lines if newline == b"\r\n" else 0
    return payloads if data.count(b"\n") == lines and data.count(b"\r") == returns else []


def _payload_of_lines(event: bytes, names: frozenset[bytes] | None) -> bytes:
    if event.lstrip().startswith(_JSON):
        return event
    values = []
    failed = unknown = False
    lines = event.split(b"\n")
    for line in lines:
        field, _, value = line.partition(b":")
        if field == b"data":
            values.append(value.removeprefix(b" "))
        elif field == b"error":
            return _as_error(value)
        elif field == b"event":
            name = value.strip()
            failed = name == b"error"
            unknown = not failed and names is not None and name not in names
    data = b"\n".join(values)
    if unknown and not any(b'"%b"' % name in data for name in names or ()):
        return b""
    if data.startswith(_JSON) and not data.rstrip().endswith(_JSON_ENDS):
        data = b"\n".join(line.removeprefix(b"data:") for line in lines if not line.startswith(_OTHER_FIELDS))
    return _as_error(data) if failed and data else data


def _as_error(data: bytes) -> bytes:
    """A JSON object whose `error` is `data`, which may be JSON or plain text."""
    value = data.strip()
    if not value.startswith((*_JSON, b'"')):
        value = msgspec.json.encode(value.decode(errors="replace"))
    return b'{"error":%b}' % value


class Lines(_Framing):
    """Newline-delimited JSON: a payload is a line that is not empty.

    A document over several lines is accepted too, if its first line is only a bracket.
    """

    _end_of_event = b"\n"

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._document = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes."""
        if self._tail or self._passing_over:
            data = self._joined(data)
            if not data:
                return []
        if not self._started:
            data = data.removeprefix(_BOM).lstrip()
            first, newline, _ = data.partition(b"\n")
            self._started = bool(newline)
            self._document = first.strip() in _JSON and self._started
        *lines, tail = [data] if self._document else data.split(b"\n")
        self._tail = self._kept(tail) if tail else tail
        return [*filter(None, lines)]

    def end(self) -> list[bytes]:
        """The last line, if the stream ended without a newline."""
        return [*filter(None, [self._rest()])]
