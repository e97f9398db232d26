"""`python -m scripts.soak.replica`: the API server, which writes what its process holds to the file SOAK_GAUGES.

A line of JSON a second: `tasks` of the event loop, `replies` and `completions` that are being written, `readers`, and
replies in the `journal`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
from pathlib import Path

# as in app/__main__.py, so that the memory is that of `python -m app`
gc.disable()

from app import serve  # noqa: E402
from app.settings import Settings  # noqa: E402

_make_server = serve.make_server


def make_server(settings: Settings) -> serve.Server:
    server = _make_server(settings)
    loop, service = asyncio.get_running_loop(), server.service
    file = Path(os.environ["SOAK_GAUGES"])

    def write() -> None:
        gauges = {
            "tasks": len(asyncio.all_tasks(loop)),
            "replies": len(service.turns),
            "completions": len(service.completions),
            "readers": len(service.followers),
            "journal": len(service.journal._entries),
        }
        # in one step, as it is read meanwhile
        new = file.with_suffix(".new")
        new.write_text(json.dumps(gauges))
        new.replace(file)
        loop.call_later(1, write)

    loop.call_later(1, write)
    return server


serve.make_server = make_server
serve.main()
