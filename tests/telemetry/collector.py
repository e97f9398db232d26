"""A receiver of traces: takes what is sent by OTLP over HTTP, and has the spans of each trace as a tree."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.answering import Quiet, answering


class Collector:
    """What has come. `status` is what requests are answered with."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.asked = 0
        """How many requests came, refused ones too."""

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def roots(self, name: str = "") -> list[Span]:
        """The spans of turns and completions."""
        return [span for span in self.spans if span.name in ((name,) if name else ("turn", "completion"))]

    def below(self, root: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_span_id == root.span_id]


def attributes(of: Span) -> dict[str, object]:
    return plain(list(of.attributes))


def plain(attributes: list[KeyValue]) -> dict[str, object]:
    return {one.key: _plain(one.value) for one in attributes}


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, str(kind))


@contextmanager
def collecting() -> Iterator[Collector]:
    """A receiver that runs within the block."""
    collector = Collector()

    class Receiver(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked += 1
            if collector.status == 200:
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                zipped = self.headers.get("Content-Encoding") == "gzip"
                collector.bodies.append(gzip.decompress(body) if zipped else body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with answering(Receiver) as collector.url:
        yield collector
