#!/bin/sh
# One would guess: OTEL_BSP_EXPORT_TIMEOUT bounds how long an export may take, so that the end of a process is held up for
# that long at most.
# What happens: opentelemetry-sdk reads the variable and does not use it. An exporter that takes 3 s holds shutdown() up for
# 3 s, with 100 ms set.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "opentelemetry-sdk==1.45.2"

OTEL_BSP_EXPORT_TIMEOUT=100 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import time
from importlib.metadata import version

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


class Slow(SpanExporter):
    def export(self, spans):
        time.sleep(3)
        return SpanExportResult.SUCCESS


provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(Slow()))
provider.get_tracer("finding").start_span("a").end()
began = time.monotonic()
provider.shutdown()
seconds = time.monotonic() - began
print(f"opentelemetry-sdk {version('opentelemetry-sdk')}: shutdown() took {seconds:.1f} s, OTEL_BSP_EXPORT_TIMEOUT is 0.1 s")
sys.exit(0 if seconds > 2.5 else 1)
PYTHON
