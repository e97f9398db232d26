"""The check of the traces: whether the SDK takes its variables, and their receiver an empty export."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from app import __version__
from app.check.findings import Finding, failed, ok, skipped, warning
from app.settings import SettingsError
from app.trace_settings import traces_wanted

RECEIVER_SECONDS = 2.0
TODO = "see that it runs and that OTEL_EXPORTER_OTLP_ENDPOINT and …_HEADERS are its own; until then, traces are lost"


async def traces(environ: Mapping[str, str]) -> Finding:
    """`environ` is that of the process, which the SDK reads."""
    try:
        if not traces_wanted(environ):
            return ok("OTEL_EXPORTER_OTLP_ENDPOINT is not set, or traces are switched off: there are no traces")
    except SettingsError:
        return skipped("not checked, as a variable of the traces is wrong: see settings")
    from app.telemetry.traces import ask_receiver, make_tracing

    try:
        await make_tracing(__version__).aclose()
    except SettingsError as error:
        return failed(str(error), "correct it, or set OTEL_TRACES_EXPORTER=none")
    address, refusal = await asyncio.to_thread(ask_receiver, RECEIVER_SECONDS)
    where = urlsplit(address).netloc
    if refusal is not None:
        return warning(f"the receiver of the traces, {where}, {refusal}", TODO)
    return ok(f"the receiver of the traces, {where}, takes them")
