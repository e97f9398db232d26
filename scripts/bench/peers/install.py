"""Installs the peers into `.parley/bench`, once for each lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.bench.servers import ROOT

HERE = Path(__file__).parent
CACHE = ROOT / ".parley" / "bench"
BIN = Path(sys.executable).parent
LITELLM_LOCK = HERE / "litellm.lock"
OPEN_WEBUI_LOCK = HERE / "open-webui.lock"
AI_SDK = HERE / "ai-sdk"


def litellm_python() -> Path:
    """The Python of an environment with LiteLLM's proxy."""
    return _environment("litellm", LITELLM_LOCK)


def open_webui_python() -> Path:
    """The Python of an environment with Open WebUI, without what runs models inside it (`torch` and the like, of
    several GB), which it needs only when it is told to."""
    return _environment("open-webui", OPEN_WEBUI_LOCK)


def ai_sdk_folder() -> Path:
    """A folder with the AI SDK and `server.mjs`."""
    files = [AI_SDK / name for name in ("package.json", "package-lock.json", "server.mjs")]

    def install(folder: Path) -> None:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(("npm", "ci", "--silent"), cwd=folder, env=env, check=True)

    return _installed("ai-sdk", b"".join(file.read_bytes() for file in files), install)


def _environment(name: str, lock: Path) -> Path:
    """The Python of an environment that has what the lock names, and nothing else."""

    def install(folder: Path) -> None:
        uv = str(BIN / "uv")
        subprocess.run((uv, "venv", "--quiet", "--python", sys.executable, str(folder)), check=True)
        python = str(folder / "bin" / "python")
        packages = ("--no-deps", "--require-hashes", "--requirement", str(lock))
        subprocess.run((uv, "pip", "install", "--quiet", "--python", python, *packages), check=True)

    return _installed(name, lock.read_bytes(), install) / "bin" / "python"


def _installed(name: str, lock: bytes, install: Callable[[Path], None]) -> Path:
    """The folder of what `install` has made of this lock."""
    folder = CACHE / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (folder / "installed").exists():
        print(f"Installing {name} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        install(folder)
        (folder / "installed").touch()
    return folder
