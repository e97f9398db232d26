"""Cuts a byte stream into payloads, one JSON document each: server-sent events, or lines."""

from __future__ import annotations

EVENT_LIMIT = 1024 * 1024
"""Bytes of an unfinished event that are kept. A token's event has some hundred; what is larger is not a token."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event is larger than `EVENT_LIMIT`."""


class Events:
    """Server-sent events. A payload is an event's data, its lines joined as the standard says.

    Ids, comments and unknown fields are passed over, and so are event names: every provider names the kind of an event
    inside its JSON too. Only with `names`, an event of another name is left out, whatever its data. Two ways to break
    the standard are understood, because real servers do: a bare JSON document where an event should be (Gemini's errors
    inside a stream, a server that ignores `stream`), and `error: {…}` (llama.cpp up to 2025,
    https://github.com/ggml-org/llama.cpp/pull/16109).
    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self, names: frozenset[bytes] | None = None) -> None:
        self._names = names
        self._tail = b""
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes."""
        if b"\r" in data or self._after_cr:
            data = self._with_newlines(data)
        if self._tail:
            data = self._tail + data
        if not self._started:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._tail = data
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        *events, self._tail = data.split(b"\n\n")
        if len(self._tail) > EVENT_LIMIT:
            raise EventTooLarge
        return [payload for event in events if (payload := _payload(event, self._names))]

    def end(self) -> list[bytes]:
        """The payload of an event that the end of the stream cut off from its blank line, if there is one."""
        event, self._tail = self._tail, b""
        payload = _payload(event, self._names)
        return [payload] if payload else []

    def _with_newlines(self, data: bytes) -> bytes:
        """`data` with every CRLF and CR as LF, also where two reads cut a CRLF in half."""
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payload(event: bytes, names: frozenset[bytes] | None) -> bytes:
    # nearly every event: one data line, last, after no line but the event's name
    before, _, line = event.rpartition(b"\n")
    if line.startswith(b"data: "):
        if not before:
            return line[6:]
        if before.startswith(b"event:") and b"\n" not in before:
            return line[6:] if names is None or before[6:].strip() in names else b""
    return _payload_of_lines(event, names)


def _payload_of_lines(event: bytes, names: frozenset[bytes] | None) -> bytes:
    if event.lstrip().startswith(b"{"):
        return event
    values = []
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            values.append(value.removeprefix(b" "))
        elif field == b"error":
            values.append(b'{"error":%b}' % value)
        elif field == b"event" and names is not None and value.strip() not in names:
            return b""
    return b"\n".join(values)


class Lines:
    """Newline-delimited JSON: a payload is a line that is not blank."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        if len(self._tail) > EVENT_LIMIT:
            raise EventTooLarge
        return [line for line in lines if line.strip()]

    def end(self) -> list[bytes]:
        """The last line, if the end of the stream cut off its newline."""
        line, self._tail = self._tail, b""
        return [line] if line.strip() else []
