"""The port of the API: taken before anything is written or said, since what a start writes holds for all processes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.serve import listening
from app.settings import SettingsError
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support.callers import Connection
from tests.support.service import ROOT, environment

OTHER_LIMITS = {"RATE_LIMIT_REQUESTS_PER_MINUTE": "7", "REQUIRE_PREMIUM": "false"}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def started(stack: LocalSupabase, **settings: str) -> subprocess.CompletedProcess[str]:
    """`python -m app` where it has to end by itself."""
    command = [sys.executable, "-m", "app"]
    given = environment(stack, **settings)
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("host", "why"), [("127.0.0.1", "Address already in use"), ("192.0.2.1", "Cannot assign requested address")]
)
async def test_a_start_that_cannot_listen_says_so_and_changes_nothing(
    stack: LocalSupabase, owned: Connection, kept_settings: None, taken: int, host: str, why: str
) -> None:
    def shared() -> tuple[object, ...] | None:
        return owned.execute("select to_jsonb(s) from private.settings as s").fetchone()

    before = shared()
    ended = await asyncio.to_thread(started, stack, PARLEY_HOST=host, PARLEY_PORT=str(taken), **OTHER_LIMITS)
    said = f"parley: PARLEY_PORT or PARLEY_HOST: cannot listen on {host}:{taken} ({why})\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)
    assert shared() == before


def test_of_two_processes_that_start_at_once_one_has_the_port() -> None:
    """Neither accepts yet."""
    port = free_port()
    refused = pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port} ")
    with listening("127.0.0.1", port), refused, listening("127.0.0.1", port):
        pass
    # and it is free again
    with listening("127.0.0.1", port) as sockets:
        assert [one.getsockname() for one in sockets] == [("127.0.0.1", port)]


def test_a_port_with_old_connections_is_free() -> None:
    port = free_port()
    with listening("127.0.0.1", port) as (listener,):
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
        accepted.close()  # first, so that its side is the one that waits
        client.close()
    with listening("127.0.0.1", port):
        pass


def test_a_name_is_listened_to_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `localhost` has two on most systems, and on some one of them twice."""
    port = free_port()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with listening("localhost", port) as sockets:
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("no-such-host.invalid", "no-such-host.invalid:8000"),
        ("2001:db8::1", "[2001:db8::1]:8000"),
        ("..", "..:8000"),
    ],
)
def test_a_host_that_is_not_this_machine_is_named(host: str, where: str) -> None:
    with pytest.raises(SettingsError) as refused, listening(host, 8000):
        pass
    line = str(refused.value)
    assert line.startswith(f"PARLEY_PORT or PARLEY_HOST: cannot listen on {where} (")
    assert line.count("\n") == 0
