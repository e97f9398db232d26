"""A small HTTP server in threads of this process: what a handler of the standard library answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any


class Quiet:
    """A handler that writes no log; comes before the handler's class."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(handler: Callable[..., Any]) -> Iterator[str]:
    """Serve on a port of its own within the block. Its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
