"""The files of a stage: an overlay of this machine's, in which commands run as in a container.

Every command has a mount namespace of its own, which ends with it: nothing stays mounted on this machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.local_supabase.node import NODE

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of the base images."""
NODE_AT = "/opt/node-of-the-base"
"""Where a stage of Node finds this machine's."""


class RootError(Exception):
    """This machine cannot carry the steps out, or one of them failed."""


def require_namespaces() -> None:
    """Raises `RootError` where commands cannot have their own files."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise RootError("the steps of the Dockerfile run in mount namespaces, for which this has to be root on Linux")
    missing = [program for program in ("unshare", "mount", "chroot") if shutil.which(program) is None]
    if missing:
        raise RootError(f"{', '.join(missing)} is not installed")


class Root:
    """The files of one stage. `files` has what the stage itself has written."""

    def __init__(self, folder: Path, base: str) -> None:
        self.files = folder / "files"
        self._work = folder / "work"
        self._merged = folder / "merged"
        for path in (self.files, self._work, self._merged):
            path.mkdir(parents=True)
        self._of_node = "/node:" in base
        if self._of_node:
            self._put_node()

    def _put_node(self) -> None:
        programs = self.files / "usr" / "local" / "sbin"
        programs.mkdir(parents=True)
        npm = programs / "npm"
        npm.write_text(f'#!/bin/sh\nexec {NODE_AT}/bin/node {NODE_AT}/lib/node_modules/npm/bin/npm-cli.js "$@"\n')
        npm.chmod(0o755)
        (programs / "node").symlink_to(f"{NODE_AT}/bin/node")
        (self.files / NODE_AT[1:]).mkdir(parents=True)

    def command(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: str,
        user: str = "0:0",
        read_only: bool = False,
    ) -> list[str]:
        """The command line that runs `words` in these files, as `user` (numbers). When they are read-only, only /tmp
        can be written, which is empty."""
        merged = shlex.quote(str(self._merged))
        upper, work = (shlex.quote(str(path)) for path in (self.files, self._work))
        mode = "ro" if read_only else "rw"
        mounts = [f"mount -t overlay overlay -o {mode},lowerdir=/,upperdir={upper},workdir={work} {merged}"]
        mounts += [f"mount --rbind /{name} {merged}/{name}" for name in ("proc", "dev")]
        if self._of_node:
            mounts.append(f"mount --bind {shlex.quote(str(NODE.parents[1]))} {merged}{NODE_AT}")
        elif not sys.base_prefix.startswith("/usr"):
            # the base image has its Python there; this machine's may be in a folder that only root can read
            mounts.append(f"mount --bind {shlex.quote(sys.base_prefix)} {merged}/usr/local")
            # it may name its library by a path that only root can read
            environment = {"LD_LIBRARY_PATH": "/usr/local/lib", **environment}
        if read_only:
            mounts.append(f"mount -t tmpfs -o size=64m,mode=1777 tmpfs {merged}/tmp")  # noqa: S108 - a mount
        inner = f"cd {shlex.quote(folder)} && exec {shlex.join(words)}"
        variables = shlex.join(f"{name}={value}" for name, value in environment.items())
        mounts.append(f"exec chroot --userspec={user} --groups= {merged} env -i {variables} sh -c {shlex.quote(inner)}")
        return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", "\n".join(mounts)]

    def run(self, script: str, *, environment: Mapping[str, str], folder: str) -> None:
        """Carry a RUN out. Raises `RootError` with the end of what it printed."""
        words = self.command(["sh", "-c", script], environment=environment, folder=folder)
        ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if ended.returncode:
            raise RootError(f"RUN {script}\nended with {ended.returncode}:\n{ended.stdout[-3000:]}")
