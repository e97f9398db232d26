"""Runs the service under uvicorn. Takes its port before anything else, and adds a drain before the listener closes, a
limit on unread data in a connection's send buffer, and the front door. `python -m app`, which `make run` also uses, is
the only way to start the service."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from dotenv import dotenv_values
from litestar import Litestar
from uvicorn.config import Config
from uvicorn.server import Server as UvicornServer

from app import __version__, observe, watch
from app.errors import AppError, SupabaseRefused
from app.front_door import Connection, FrontDoor, limits_of_this_machine
from app.main import Service, create_app
from app.misspelt import misspelt
from app.proxies import behind_proxies
from app.settings import NotSet, Settings, SettingsError, load_settings
from app.trace_settings import traces_wanted

ENV_FILE = Path(".env")
"""`make run` reads this file. This program does not: its settings come from the environment only."""
SHUTDOWN_SECONDS = 1
"""The time for connections that are still open after the drain."""
BACKLOG = 2048
"""Connections that the kernel keeps until they are accepted; uvicorn's own default."""
SEND_BUFFER_BYTES = 65_536
"""The kernel's send buffer of each connection. By default Linux lets it grow to megabytes, so that it would take long
to notice a client that reads nothing."""


class Server(UvicornServer):
    """The server. On the first signal it drains, while it still answers requests (with `draining`), then stops. On the
    second signal it stops at once."""

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None:
            self.should_exit = True
            return
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._draining = asyncio.ensure_future(self.service.drain())
        self._draining.add_done_callback(self._drained)

    def _drained(self, draining: asyncio.Task[None]) -> None:
        if not draining.cancelled() and (error := draining.exception()) is not None:
            observe.unforeseen("task.failed", error, task="drain")
        self.should_exit = True


def make_server(settings: Settings) -> Server:
    """Make the server and its service, without serving yet; its `serve` is given the sockets. Must be called on the
    running event loop."""
    app: Litestar = create_app(settings)
    config = Config(
        behind_proxies(app, settings.forwarded_allow_ips, everybody=settings.every_proxy_is_trusted),  # type: ignore[arg-type]
        # uvicorn would trust `X-Forwarded-For` from this machine by default; here it is trusted only as set
        proxy_headers=False,
        backlog=BACKLOG,
        # one door for all connections; uvicorn makes a connection with whatever it is given here
        http=partial(Connection, door=FrontDoor(limits_of_this_machine())),  # type: ignore[arg-type]
        ws="none",
        # uvicorn would read WEB_CONCURRENCY, which some hosts set, and fail where it is no number
        workers=1,
        # uvicorn's log lines become events, see app/observe.py
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return Server(config, app.state.service)


async def serve(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `SupabaseRefused` when the project refuses the settings, and `SettingsError`
    when it cannot listen for requests or for Prometheus; nothing is written by then. When the project does not answer,
    serves nevertheless."""
    server = make_server(settings)
    observe.include_libraries()
    for line in _misspelt():
        observe.event("settings.unknown", detail=line)
    try:
        await server.service.project.check_all()
    except SupabaseRefused:
        await server.service.supabase.aclose()
        raise
    except AppError as error:
        observe.event("supabase.unreachable", detail=str(error))
    try:
        # The start of the service writes its limits into the database, where all processes read them: by then it has to
        # be certain that this one can serve.
        with listening(settings.parley_host, settings.parley_port) as sockets:
            async with _watched(server.service, settings):
                await server.serve(sockets)
    except SettingsError:
        await server.service.supabase.aclose()
        raise


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen at each address of `host` within the block; who connects before the server accepts has to wait. Binding
    alone would not do: two processes may bind one port as long as neither listens. Raises `SettingsError`."""
    with ExitStack() as opened:
        try:
            sockets = [opened.enter_context(listener) for listener in _listeners(host, port)]
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise SettingsError(f"PARLEY_PORT or PARLEY_HOST: cannot listen on {where} ({reason})") from error
        yield sockets


def _listeners(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket for each address, with the options that asyncio gives those that it opens itself."""
    addresses = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    for family, kind, protocol, _, address in addresses:
        try:
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and len(addresses) > 1:  # localhost on a system without IPv6
                continue
            raise
        try:
            if os.name == "posix":  # elsewhere two processes could then have one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # accepted connections inherit it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        yield listener


@asynccontextmanager
async def _watched(service: Service, settings: Settings) -> AsyncGenerator[None]:
    """Have the service watched within the block, as far as the settings ask for it. What does so is imported only
    then."""
    async with AsyncExitStack() as parts:
        watcher = watch.UNWATCHED
        if traces_wanted():
            from app.telemetry.traces import traced

            watcher = await parts.enter_async_context(traced(__version__))
        if settings.metrics_port is not None:
            from app.measured import measured

            measuring = measured(service, settings.metrics_host, settings.metrics_port, watcher)
            watcher = await parts.enter_async_context(measuring)
        watch.use(watcher)
        parts.callback(watch.use, watch.UNWATCHED)
        yield


def _misspelt() -> list[str]:
    """Lines about misspelt settings in the environment. Names that are also in `.env` are checked as in that file."""
    try:
        in_file = [name for name in dotenv_values(ENV_FILE) if name in os.environ]
    except (OSError, UnicodeDecodeError):
        in_file = []
    return misspelt(os.environ, in_file)


def main() -> None:
    try:
        settings = load_settings()
        if sys.platform == "win32":
            asyncio.run(serve(settings))
        else:
            import uvloop

            uvloop.run(serve(settings))
    except (SettingsError, SupabaseRefused) as error:
        more = "".join(f" {line}" for line in _misspelt()) if isinstance(error, NotSet) else ""
        if isinstance(error, NotSet) and ENV_FILE.exists():
            more += f" {ENV_FILE.absolute()} is not read: load it with `set -a; . ./{ENV_FILE}; set +a`."
        print(f"parley: {error}{'.' if more else ''}{more}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
