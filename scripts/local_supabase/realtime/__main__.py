"""Runs the server. Its configuration is one JSON object on the standard input, so that no process list has secrets."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import msgspec

from scripts.local_supabase.realtime.server import Config, running


async def _serve(config: Config) -> None:
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    async with running(config):
        await asked_to_end.wait()


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(msgspec.json.decode(sys.stdin.buffer.read(), type=Config)))
