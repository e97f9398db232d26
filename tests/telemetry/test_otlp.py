"""The bytes that are sent are those that OpenTelemetry's own classes read."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from app.telemetry import otlp

TRACE, OWN, PARENT = bytes(range(16)), b"\xff" * 8, b"\x01" * 8
NOW = 1_796_000_000_123_456_789
SCOPE = InstrumentationScope(name="parley", version="1.2.3")
URL = "https://opentelemetry.io/schemas/1.44.0"


def read(*spans: bytes) -> ExportTraceServiceRequest:
    found = ExportTraceServiceRequest()
    found.ParseFromString(otlp.Request({"service.name": "chat", "n": 1}, SCOPE, URL).of(spans))
    return found


def only(span: bytes) -> Span:
    found = list(read(span).resource_spans[0].scope_spans[0].spans)
    assert len(found) == 1
    return Span(**{field.name: value for field, value in found[0].ListFields()})


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ("", AnyValue(string_value="")),
        ("complete", AnyValue(string_value="complete")),
        ("ä漢🙂" * 100, AnyValue(string_value="ä漢🙂" * 100)),
        ("a lone \ud83d half", AnyValue(string_value="a lone ? half")),
        (True, AnyValue(bool_value=True)),
        (False, AnyValue(bool_value=False)),
        (0, AnyValue(int_value=0)),
        (127, AnyValue(int_value=127)),
        (128, AnyValue(int_value=128)),
        (2**63 - 1, AnyValue(int_value=2**63 - 1)),
        (-1, AnyValue(int_value=-1)),
        (-(2**63), AnyValue(int_value=-(2**63))),
        (0.0, AnyValue(double_value=0.0)),
        (-1.5e300, AnyValue(double_value=-1.5e300)),
        ((), AnyValue(array_value=ArrayValue())),
        (
            ("stop", "length"),
            AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="stop"), AnyValue(string_value="length")])),
        ),
    ],
)
def test_an_attribute_of_each_kind_is_read(value: otlp.Value, read_as: AnyValue) -> None:
    span = only(otlp.span("x", otlp.INTERNAL, (TRACE, OWN, b""), (0, 0), [otlp.attribute("parley.x", value)]))
    assert list(span.attributes) == [KeyValue(key="parley.x", value=read_as)]


@pytest.mark.parametrize("value", ["", "x" * 36, "ä" * 100, "x" * 20_000, "a lone \ud83d half", 0.0, -1.5e300])
def test_a_rare_attribute_is_written_like_any_other(value: str | float) -> None:
    assert otlp.rare("parley.x", value) == otlp.attribute("parley.x", value)


@pytest.mark.parametrize("name", ["turn", "chat " + "m" * 300, "chat ä漢🙂"])
def test_a_span_is_read_as_it_was_meant(name: str) -> None:
    further = [otlp.attribute("parley.end", "failed"), otlp.event("first_sign", NOW + 1), otlp.event("x", NOW + 2)]
    written = otlp.span(name, otlp.CLIENT, (TRACE, OWN, PARENT), (NOW, NOW + 5), further, failed=True)
    assert only(written) == Span(
        trace_id=TRACE,
        span_id=OWN,
        parent_span_id=PARENT,
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=NOW,
        end_time_unix_nano=NOW + 5,
        attributes=[KeyValue(key="parley.end", value=AnyValue(string_value="failed"))],
        events=[
            Span.Event(name="first_sign", time_unix_nano=NOW + 1),
            Span.Event(name="x", time_unix_nano=NOW + 2),
        ],
        status=Status(code=Status.STATUS_CODE_ERROR),
    )


def test_a_root_has_no_parent_and_no_status() -> None:
    span = only(otlp.span("turn", otlp.SERVER, (TRACE, OWN, b""), (1, 2), []))
    assert (span.parent_span_id, span.kind, span.HasField("status")) == (b"", Span.SPAN_KIND_SERVER, False)


def test_a_request_has_all_spans_below_the_resource_and_the_scope() -> None:
    spans = [otlp.span(str(number), otlp.INTERNAL, (TRACE, OWN, PARENT), (1, 2), []) for number in range(500)]
    attributes = [
        KeyValue(key="service.name", value=AnyValue(string_value="chat")),
        KeyValue(key="n", value=AnyValue(string_value="1")),
    ]
    found = read(*spans)
    [of_resource] = found.resource_spans
    assert [span.name for span in of_resource.scope_spans[0].spans] == [str(number) for number in range(500)]
    del of_resource.scope_spans[0].spans[:]
    assert of_resource == ResourceSpans(
        resource=Resource(attributes=attributes), scope_spans=[ScopeSpans(scope=SCOPE, schema_url=URL)]
    )
