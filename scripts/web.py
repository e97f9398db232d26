"""The web client: builds `web/` into `web/dist` where its sources have changed, and runs Vite's development server."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from scripts.install.steps import digest
from scripts.local_supabase.environment import RunSettings
from scripts.local_supabase.node import NODE, REPOSITORY, tool_environment
from scripts.local_supabase.processes import StackError

WEB = REPOSITORY / "web"
BUILD = WEB / "dist"
VITE = REPOSITORY / "node_modules" / "vite" / "bin" / "vite.js"
BUILD_SECONDS = 300


class WebError(Exception):
    """The web client could not be built. The message ends with what Vite said."""


def sources() -> list[Path]:
    """The files that the build depends on."""
    own = (path for path in WEB.rglob("*") if path.is_file() and BUILD not in path.parents)
    return [*sorted(own), REPOSITORY / "package-lock.json"]


def build() -> bool:
    """Build the client unless it is built from these very sources. Returns whether it was built. Raises WebError.

    Several processes may call it at the same time; one of them builds.
    """
    mark = BUILD / ".vite" / "sources"
    with (WEB / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = "\n".join(str(path.relative_to(REPOSITORY)) for path in sources())
        wanted = f"{digest(*sources())}\n{names}\n"
        if mark.is_file() and mark.read_text() == wanted:
            return False
        if not VITE.exists():
            raise WebError("the npm packages are missing: run `make install`")
        ended = subprocess.run(
            [NODE, VITE, "build", WEB, "--config", WEB / "vite.config.ts", "--logLevel", "warn"],
            cwd=REPOSITORY,
            env=tool_environment() | {"NODE_ENV": "production"},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if ended.returncode:
            raise WebError(f"the web client cannot be built:\n{ended.stderr.strip() or ended.stdout.strip()}")
        mark.write_text(wanted)
        return True


def develop() -> None:
    """Run Vite's development server on the API of `make run`, until Ctrl-C. Does not return."""
    port = RunSettings.load().api_port
    variables = {"API_URL": f"http://127.0.0.1:{port}", **tool_environment()}
    os.chdir(REPOSITORY)
    os.execve(NODE, [str(NODE), str(VITE), str(WEB), "--config", str(WEB / "vite.config.ts")], variables)  # noqa: S606 - one process, which Ctrl-C ends


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["develop"]:
            develop()
        elif sys.argv[1:] in ([], ["build"]):
            print("web/dist is new" if build() else "web/dist is as its sources are")
        else:
            sys.exit("usage: python -m scripts.web [build | develop]")
    except (WebError, StackError) as error:
        sys.exit(f"scripts.web: {error}")
