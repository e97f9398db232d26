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
AI_SDK = HERE / "ai-sdk"


def litellm_python() -> Path:
    """The Python of an environment with LiteLLM's proxy."""

    def install(folder: Path) -> None:
        uv = str(BIN / "uv")
        subprocess.run((uv, "venv", "--quiet", "--python", sys.executable, str(folder)), check=True)
        python = str(folder / "bin" / "python")
        packages = ("--require-hashes", "--requirement", str(LITELLM_LOCK))
        subprocess.run((uv, "pip", "install", "--quiet", "--python", python, *packages), check=True)

    return _installed("litellm", LITELLM_LOCK.read_bytes(), install) / "bin" / "python"


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
