"""`python -m scripts.soak.replica`: the API server, which writes what its process holds to the file SOAK_GAUGES.

JSON, anew each second: `tasks` of the event loop, `replies` and `completions` being written, `readers`, replies in
the `journal`, and `blocks` of memory that Python has in use; when nothing goes on, without garbage.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
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
        if not any(gauges[name] for name in ("replies", "completions", "readers", "journal")):
            gc.collect()
        gauges["blocks"] = sys.getallocatedblocks()
        # in one step, as it is read meanwhile
        new = file.with_suffix(".new")
        new.write_text(json.dumps(gauges))
        new.replace(file)
        loop.call_later(1, write)

    loop.call_later(1, write)
    return server


serve.make_server = make_server
serve.main()
