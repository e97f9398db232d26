"""Child processes: starts and ends them, and ends those that an earlier run has left."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StackError(RuntimeError):
    """A part of the stack cannot run. The message is for the person at the terminal."""


def _signal_on_death_of_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A function to run in the child before exec, so that it gets the signal `number` when its parent dies. None on
    systems without this.

    Linux sends the signal when the thread that started the child ends, so start children from a long-lived thread.
    """
    if _libc is None:
        return None
    libc = _libc
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


@dataclass
class Child:
    """A running child process, its log, and the signal that makes it end in an orderly way."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> Child:
        """Start `command` and append its output to `log`. It has its own session: Ctrl-C does not reach it."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                # safe with threads, since only one system call is made between fork and exec
                preexec_fn=_signal_on_death_of_parent(stop_signal),
            )
        assert process.stdin is not None  # a pipe, as asked for above
        with process.stdin, suppress(BrokenPipeError):
            process.stdin.write(stdin)
        return cls(name, process, log, stop_signal)

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, patience: float = 10) -> None:
        """Send the child its stop signal, and kill it after `patience` seconds."""
        if self.alive():
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def failure(self, what: str) -> StackError:
        """An error with `what` went wrong and the end of the log."""
        code = self.process.poll()
        ended = "" if code is None else f" (it ended with status {code})"
        return StackError(f"{self.name}: {what}{ended}. The end of {self.log}:\n{tail(self.log)}")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, indented."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


def wait_until(ready: Callable[[], bool], *, seconds: float, child: Child) -> None:
    """Poll `ready` until it is true. Raises StackError when the child ends first or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not child.alive():
            raise child.failure("ended while starting")
        if time.monotonic() > deadline:
            raise child.failure(f"was not ready after {seconds:.0f} s")
        time.sleep(0.02)


def free_port() -> int:
    """A port of 127.0.0.1 that is free at this moment.

    It is below the ports for outgoing connections (from 32768 on Linux, from 49152 on others): a client could take one
    of those, for example while the server on it is restarted.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        if _is_free(port):
            return port


def require_free_port(port: int, variable: str, patience: float = 3) -> None:
    """Raises StackError, naming the port and its variable, when the port is still in use after `patience` seconds.

    A killed process may hold its ports for a moment, while its last threads end.
    """
    deadline = time.monotonic() + patience
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise StackError(f"port {port} is taken by another program: stop it, or set {variable} to a free port")
        time.sleep(0.02)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # like servers, treat a port that only has old connections in TIME_WAIT as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Record:
    """The file that lists the processes that use a data folder, so that those of a killed run can be ended.

    Each process is listed with its id and its time of creation, since ids are reused.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def claim(self) -> None:
        """End the processes that a dead run has left. Raises StackError when another run is alive."""
        try:
            old = json.loads(self._path.read_text())
        except (OSError, ValueError):
            old = {}
        owner = _find(old.get("owner"))
        if owner is not None and owner.pid != os.getpid():
            raise StackError(
                f"{self._path.parent} is in use by process {owner.pid}: stop it, or set PARLEY_DATA to another folder"
            )
        for name, known in old.get("children", {}).items():
            left = _find(known)
            if left is not None:
                _end(left, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        self.write([])

    def write(self, children: Sequence[Child]) -> None:
        """List these children, and this process as their owner."""
        content = {
            "owner": _identity(os.getpid()),
            "children": {child.name: _identity(child.process.pid) for child in children},
        }
        # replace the file in one step, so that a run after a kill finds a complete one
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(content))
        new.replace(self._path)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


def _identity(pid: int) -> dict[str, float]:
    try:
        return {"pid": pid, "created": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "created": 0}


def _find(known: dict[str, float] | None) -> psutil.Process | None:
    """The listed process, if it still exists and its id was not reused."""
    if known is None:
        return None
    try:
        process = psutil.Process(int(known["pid"]))
        same = abs(process.create_time() - known["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _end(process: psutil.Process, stop_signal: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(stop_signal)
        try:
            process.wait(10)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
