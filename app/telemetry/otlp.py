"""OTLP: the bytes of OpenTelemetry's protocol, written directly.

Its classes, which protobuf makes, take three times the CPU. They still say the numbers of all fields, and
`tests/telemetry/test_otlp.py` reads what is written here with them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

Value = str | int | float | bool | Sequence[str]
"""Of an attribute. An int has at most 64 bits."""

VARINT, FIXED64, DELIMITED = 0, 1, 2
"""How the value of a field is written."""
SMALL = tuple(bytes([number]) for number in range(0x80))
"""The numbers that take a byte, which nearly all are."""


def _varint(number: int) -> bytes:
    """Seven bits in a byte, the lowest first, and a bit that says whether more follow."""
    if 0 <= number < len(SMALL):
        return SMALL[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF  # a negative one is written as its two's complement
    written = bytearray()
    while number >= len(SMALL):
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _tag(message: type[Any], field: str, kind: int) -> bytes:
    return _varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | kind)


def _in(tag: bytes, content: bytes) -> bytes:
    """A field with its length before it."""
    return tag + _varint(len(content)) + content


_KEY, _VALUE = _tag(KeyValue, "key", DELIMITED), _tag(KeyValue, "value", DELIMITED)
_STRING, _BOOL = _tag(AnyValue, "string_value", DELIMITED), _tag(AnyValue, "bool_value", VARINT)
_INT, _DOUBLE = _tag(AnyValue, "int_value", VARINT), _tag(AnyValue, "double_value", FIXED64)
_ARRAY, _VALUES = _tag(AnyValue, "array_value", DELIMITED), _tag(ArrayValue, "values", DELIMITED)
_ATTRIBUTES = _tag(Span, "attributes", DELIMITED)
# their lengths never change
_TRACE_ID, _SPAN_ID = _tag(Span, "trace_id", DELIMITED) + SMALL[16], _tag(Span, "span_id", DELIMITED) + SMALL[8]
_PARENT = _tag(Span, "parent_span_id", DELIMITED) + SMALL[8]
_STARTED, _ENDED = (_tag(Span, name, FIXED64) for name in ("start_time_unix_nano", "end_time_unix_nano"))
_TIMES = struct.Struct(f"<{len(_STARTED)}sQ{len(_ENDED)}sQ")
_EVENTS, _EVENT_NAME = _tag(Span, "events", DELIMITED), _tag(Span.Event, "name", DELIMITED)
_EVENT_TIME = _tag(Span.Event, "time_unix_nano", FIXED64)
_TIME = struct.Struct(f"<{len(_EVENT_TIME)}sQ")
_NUMBER = struct.Struct("<d")
_FAILED = _in(_tag(Span, "status", DELIMITED), _tag(Status, "code", VARINT) + SMALL[Status.STATUS_CODE_ERROR])
_SPANS = _tag(ScopeSpans, "spans", DELIMITED)

SERVER, CLIENT, INTERNAL = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL


def _any(value: Value) -> bytes:
    """An `AnyValue`."""
    if isinstance(value, str):
        return _in(_STRING, value.encode(errors="replace"))
    if isinstance(value, bool):
        return _BOOL + SMALL[value]
    if isinstance(value, int):
        return _INT + _varint(value)
    if isinstance(value, float):
        return _DOUBLE + _NUMBER.pack(value)
    return _in(_ARRAY, b"".join(_in(_VALUES, _any(one)) for one in value))


@lru_cache(maxsize=4096, typed=True)
def attribute(name: str, value: Value) -> bytes:
    """An attribute of a span. Most have the values that they had before."""
    return _in(_ATTRIBUTES, _in(_KEY, name.encode()) + _in(_VALUE, _any(value)))


def rare(name: str, value: str | float) -> bytes:
    """An attribute whose value hardly ever comes twice."""
    if isinstance(value, float):
        return _before(name, _DOUBLE, _NUMBER.size) + _NUMBER.pack(value)
    text = value.encode(errors="replace")
    return _before(name, _STRING, len(text)) + text


@lru_cache(maxsize=1024)
def _before(name: str, kind: bytes, length: int) -> bytes:
    """What stands before a value of this length."""
    before = kind if kind == _DOUBLE else kind + _varint(length)
    key = _in(_KEY, name.encode()) + _VALUE + _varint(len(before) + length) + before
    return _ATTRIBUTES + _varint(len(key) + length) + key


@lru_cache(maxsize=1024)
def _named(name: str, kind: int) -> bytes:
    """What spans of this name have in common."""
    named = _in(_tag(Span, "name", DELIMITED), name.encode())
    return named + _tag(Span, "kind", VARINT) + SMALL[kind]


@lru_cache(maxsize=64)
def _event_named(name: str) -> bytes:
    return _in(_EVENT_NAME, name.encode())


def event(name: str, at: int) -> bytes:
    """Something that happened within a span, in nanoseconds since 1970."""
    return _in(_EVENTS, _TIME.pack(_EVENT_TIME, at) + _event_named(name))


def span(
    name: str,
    kind: int,
    ids: tuple[bytes, bytes, bytes],
    times: tuple[int, int],
    further: Iterable[bytes],
    *,
    failed: bool = False,
) -> bytes:
    """A span. `ids`: of the trace (16 bytes), its own (8) and its parent's (8, or empty for none). `times`: its start
    and end, in nanoseconds since 1970. `further` are attributes and events."""
    trace_id, span_id, parent = ids
    started, ended = times
    content = b"".join(
        (
            _TRACE_ID,
            trace_id,
            _SPAN_ID,
            span_id,
            _PARENT + parent if parent else b"",
            _named(name, kind),
            _TIMES.pack(_STARTED, started, _ENDED, ended),
            *further,
            _FAILED if failed else b"",
        )
    )
    return _in(_SPANS, content)


class Request:
    """What is sent: spans below what all of them have in common."""

    def __init__(self, resource: Mapping[str, object], scope: InstrumentationScope, schema_url: str) -> None:
        told = Resource(
            attributes=[KeyValue(key=name, value=AnyValue(string_value=str(value))) for name, value in resource.items()]
        )
        self._resource = ResourceSpans(resource=told).SerializeToString()
        self._scope = ScopeSpans(scope=scope, schema_url=schema_url).SerializeToString()
        self._scope_spans = _tag(ResourceSpans, "scope_spans", DELIMITED)
        self._resource_spans = _tag(ExportTraceServiceRequest, "resource_spans", DELIMITED)

    def of(self, spans: Iterable[bytes]) -> bytes:
        """The bytes of an `ExportTraceServiceRequest`."""
        scoped = b"".join((self._scope, *spans))
        return _in(self._resource_spans, self._resource + _in(self._scope_spans, scoped))
