"""Network namespaces of a test's own, and a wire between two of them that is slow, loses packets, or is cut.

They have no names and end with this process; the machine's own network is left as it is. The wire is two TUN devices,
between which this process carries IP packets. So delay, loss and cuts are those of packets, as with `tc netem`, which
many kernels do not have: both ends retransmit, wait and give up as on a real network.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

NEAR = "10.77.0.2"
"""The address of what is tested."""
SUPABASE, PROVIDER, CLIENTS = "10.77.0.11", "10.77.0.12", "10.77.0.13"
"""The addresses of what it talks to, at the far end of the wire."""
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LARGEST_PACKET = 65_535
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class Namespace:
    """One network namespace, with nothing in it but its own loopback."""

    def __init__(self) -> None:
        """Raises OSError where this is not permitted."""
        self.fd = _in_a_thread(self._new)
        self._run("link", "set", "lo", "up")

    @staticmethod
    def _new() -> int:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "a network namespace cannot be made")
        return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)

    @property
    def prefix(self) -> list[str]:
        """What stands before a command that is to run in here."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", "--"]

    def socket(self) -> socket.socket:
        """A TCP socket in here, whoever uses it."""
        return self.do(socket.socket)

    def listener(self, address: str) -> socket.socket:
        """A socket that listens in here, on a free port."""
        return self.do(lambda: socket.create_server((address, 0)))

    def do(self, action: Callable[[], T]) -> T:
        """What `action` returns, done in here."""

        def inside() -> T:
            if _libc.setns(self.fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the namespace cannot be entered")
            return action()

        return _in_a_thread(inside)

    def tun(self, *addresses: str) -> int:
        """A device for IP packets with these addresses; the descriptor by which they come and go."""
        fd = self.do(lambda: os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"wire", _IFF_TUN | _IFF_NO_PI))
        for address in addresses:
            self._run("address", "add", f"{address}/24", "dev", "wire")
        self._run("link", "set", "wire", "up")
        return fd

    def device(self, *, up: bool) -> None:
        """Switch the device on or off: off, every call that needs it fails at once."""
        self._run("link", "set", "wire", "up" if up else "down")

    def _run(self, *arguments: str) -> None:
        ran = subprocess.run([*self.prefix, "ip", *arguments], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise OSError(f"ip {' '.join(arguments)}: {ran.stderr.strip()}")

    def close(self) -> None:
        os.close(self.fd)


def _in_a_thread(action: Callable[[], T]) -> T:
    """Done in a thread of its own, which alone changes its namespace. Raises what it raises."""
    results: list[T] = []
    failures: list[OSError] = []

    def run() -> None:
        try:
            results.append(action())
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


@dataclass
class Way:
    """The way between the near end and one far address. Everything may change at any time."""

    delay: float = 0.0
    """Seconds, each way."""
    loss: float = 0.0
    """The part of packets that is lost, each way."""
    out: bool = True
    """Packets of the near end arrive."""
    back: bool = True
    """Packets for the near end arrive."""
    lost: int = 0

    def cut(self) -> None:
        """Swallow everything, until `mend`. Nobody is told."""
        self.out = self.back = False

    def mend(self) -> None:
        self.delay, self.loss, self.out, self.back = 0.0, 0.0, True, True


@dataclass
class Wire:
    """Carries packets between two namespaces, on the running loop, until `close`."""

    near: Namespace
    far: Namespace
    ways: dict[str, Way] = field(default_factory=lambda: {address: Way() for address in (SUPABASE, PROVIDER, CLIENTS)})
    _ends: tuple[int, int] = (-1, -1)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311

    def open(self) -> None:
        self._ends = self.near.tun(NEAR), self.far.tun(*self.ways)
        loop = asyncio.get_running_loop()
        near, far = self._ends
        loop.add_reader(near, self._carry, near, far, 16)
        loop.add_reader(far, self._carry, far, near, 12)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for end in self._ends:
            loop.remove_reader(end)
            os.close(end)
        self._ends = (-1, -1)

    @property
    def supabase(self) -> Way:
        return self.ways[SUPABASE]

    @property
    def provider(self) -> Way:
        return self.ways[PROVIDER]

    @property
    def clients(self) -> Way:
        return self.ways[CLIENTS]

    def _carry(self, source: int, target: int, address_at: int) -> None:
        """Take the packets that have come. The far address stands at `address_at` of an IPv4 header."""
        for _ in range(64):
            try:
                packet = os.read(source, _LARGEST_PACKET)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:  # the kernel's own IPv6 messages
                continue
            way = self.ways.get(socket.inet_ntoa(packet[address_at : address_at + 4]))
            if way is None:
                continue
            passes = way.out if target == self._ends[1] else way.back
            if not passes or self._chance.random() < way.loss:
                way.lost += 1
            elif way.delay:
                asyncio.get_running_loop().call_later(way.delay, self._deliver, target, packet)
            else:
                self._deliver(target, packet)

    def _deliver(self, target: int, packet: bytes) -> None:
        if target in self._ends:
            # a full device drops packets too, and one that is switched off takes none
            with suppress(OSError):
                os.write(target, packet)


def why_not() -> str | None:
    """Why there can be no namespaces here; None where there can."""
    missing = [program for program in ("ip", "nsenter") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} must be installed (Debian packages iproute2, util-linux)"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun here"
    try:
        namespace = Namespace()
    except OSError as error:
        return f"network namespaces need root: {error}"
    try:
        os.close(namespace.tun(NEAR))
    except OSError as error:
        return f"TUN devices cannot be made here: {error}"
    finally:
        namespace.close()
    return None
