"""Runs `python -m app`; each line on standard input is answered with the names of all modules imported so far.

A script for the project's folder.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import threading


def answer() -> None:
    for _ in sys.stdin:
        # a module that is imported when it is used has `__getattr__` until then
        loaded = [
            name
            for name, module in sys.modules.copy().items()
            if module is not None and getattr(vars(module).get("__getattr__"), "func", None) is None
        ]
        sys.stdout.write(json.dumps(loaded) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    threading.Thread(target=answer, daemon=True).start()
    sys.path[0] = os.getcwd()
    runpy.run_module("app", run_name="__main__")
