"""Runs the API on an event loop that counts what it does; each line on standard input is answered with the counts.

`python -m tests.support.counted`. The counts are of the main thread since the start: `tasks` created, `wakeups` of the
loop, `callbacks` that it ran, `calls` of Python functions, system `writes` and `reads` of sockets, `blocks` of memory
in use, and `circles`: objects that only the garbage collector could free.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Any

from app.serve import serve
from app.settings import load_settings

COUNTS: Counter[str] = Counter()
_SYSTEM_CALLS = {"send": "writes", "sendmsg": "writes", "recv": "reads", "recv_into": "reads"}


class CountingLoop(asyncio.SelectorEventLoop):
    def create_task(self, *arguments: Any, **options: Any) -> Any:
        COUNTS["tasks"] += 1
        return super().create_task(*arguments, **options)

    def _run_once(self) -> None:
        COUNTS["wakeups"] += 1
        super()._run_once()  # type: ignore[misc]

    def call_soon(self, *arguments: Any, **options: Any) -> Any:
        COUNTS["callbacks"] += 1
        return super().call_soon(*arguments, **options)

    def _add_callback(self, handle: Any) -> None:
        COUNTS["callbacks"] += 1
        super()._add_callback(handle)  # type: ignore[misc]


def count(_: FrameType, event: str, argument: Any) -> None:
    if event == "call":
        COUNTS["calls"] += 1
    elif event == "c_call" and (kind := _SYSTEM_CALLS.get(argument.__name__)):
        COUNTS[kind] += 1


def answer() -> None:
    for _ in sys.stdin:
        COUNTS["circles"] += gc.collect()
        sys.stdout.write(json.dumps({**COUNTS, "blocks": sys.getallocatedblocks()}) + "\n")
        sys.stdout.flush()


def main() -> None:
    threading.Thread(target=answer, daemon=True).start()
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        sys.setprofile(count)
        runner.run(serve(load_settings()))


if __name__ == "__main__":
    main()
