"""Exposition: answers Prometheus on an address and a port of its own, which no user of the API reaches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric

from app.settings import SettingsError

PATH = "/metrics"
CLOSE_SECONDS = 0.2


_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


async def text_of(registry: CollectorRegistry) -> bytes:
    """All metrics in Prometheus' text format 0.0.4. Between two of them other work of the event loop is done, so that
    no token waits for the whole text."""
    parts: list[str] = []
    for family in registry.collect():
        parts.append(_family(family))
        await asyncio.sleep(0)
    return "".join(parts).encode()


def _family(family: Metric) -> str:
    """The lines of one metric. prometheus-client's own function takes three times as long, and is what tests compare
    this one with."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    lines = [f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n"]
    for sample in family.samples:
        labels = ",".join([f'{label}="{value.translate(_ESCAPED)}"' for label, value in sample.labels.items()])
        lines.append(f"{sample.name}{{{labels}}} {sample.value!r}\n")
    return "".join(lines)


@asynccontextmanager
async def exposed(registry: CollectorRegistry, host: str, port: int) -> AsyncGenerator[str]:
    """Answer `GET /metrics` within the block, which is given the address. Raises `SettingsError`."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await text_of(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_get(PATH, metrics)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingsError(f"METRICS_PORT or METRICS_HOST: cannot listen on {host}:{port} ({reason})") from error
        yield f"http://{host}:{port}{PATH}"
    finally:
        await runner.cleanup()
