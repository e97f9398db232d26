"""What a serving process has imported, in counts instead of megabytes, and the ways in which modules are kept out."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.modules import hidden, hide, import_when_named, import_when_used, restore
from scripts.bench.servers import ROOT, beside, sending, settings_of, wait_for
from scripts.local_supabase.processes import free_port

MOST_MODULES = 1250
"""Of an idle process with OpenAI on that has carried out one turn: 1,158 with Python 3.11; 1,741 before."""
NEVER = (
    # SDKs of providers that are off, and what OpenAI's has for other purposes than a chat
    "anthropic",
    "google.genai",
    "ollama",
    "openai.resources",
    "openai.types.responses.response",
    # PyJWT needs it for published keys, and this project has a secret
    "cryptography",
    # readers of documents
    "lxml",
    "numpy",
    "PIL",
    "pptx",
    "pypdfium2",
    # what is off: shared limits, metrics, traces
    "opentelemetry.sdk",
    "prometheus_client",
    "redis",
    # command lines, debuggers and other purposes of libraries
    "bdb",
    "click",
    "h2",
    "multiprocessing",
    "pydantic.v1",
    "pygments",
    "rich",
    "uvicorn.main",
    "yaml",
)


def named_as(name: str, names: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in names)


async def test_idle_process_has_imported_what_it_needs_only() -> None:
    with beside() as ports:
        port = free_port()
        with subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            (sys.executable, "tests/support/loaded.py"),  # not as a module: `tests` imports pytest
            cwd=ROOT,
            env=os.environ | settings_of(ports, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/health/ready")
                await one_turn(sending(ports), port)
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write("\n")
                child.stdin.flush()
                loaded = json.loads(await asyncio.to_thread(child.stdout.readline))
            finally:
                child.terminate()
                await asyncio.to_thread(child.wait, 30)

    assert "openai" in loaded
    assert [name for name in loaded if named_as(name, NEVER)] == []
    assert len(loaded) <= MOST_MODULES


async def one_turn(head: str, port: int) -> None:
    """After it the SDK has been imported, and the first request of its kind made."""
    body = b'{"content": "Hello"}'
    rest = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((head + rest).encode() + body)
    answer = await reader.readuntil(b"0\r\n\r\n")
    assert b"event: done" in answer
    writer.close()
    await writer.wait_closed()


# ── the ways ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package `kept_out`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    folder = tmp_path / "kept_out"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    yield folder
    for name in [name for name in sys.modules if named_as(name, ("kept_out",))]:
        del sys.modules[name]


def test_module_of_a_name_is_imported_with_the_name(package: Path) -> None:
    (package / "__init__.py").write_text(
        '"""Names."""\nfrom .one import One as One\nfrom kept_out.two import (\n  Two as Other,\n)\n__version__ = "7"\n'
    )
    (package / "one.py").write_text("class One: ...\n")
    (package / "two.py").write_text("class Two: ...\n")
    (package / "three.py").write_text("THREE = 3\n")
    import_when_named("kept_out")
    kept_out = importlib.import_module("kept_out")
    assert "kept_out.one" not in sys.modules
    assert kept_out.One.__name__ == "One"
    assert "kept_out.one" in sys.modules
    assert "kept_out.two" not in sys.modules
    assert kept_out.Other.__name__ == "Two"
    assert kept_out.__version__ == "7"
    assert kept_out.three.THREE == 3
    with pytest.raises(AttributeError, match="module 'kept_out' has no attribute 'four'"):
        _ = kept_out.four


@pytest.mark.parametrize("more", ["from .one import *", "import kept_out.one", "One = print", "if True: pass"])
def test_package_that_does_more_is_imported_as_ever(package: Path, more: str) -> None:
    (package / "__init__.py").write_text(f"from .one import One\n{more}\n")
    (package / "one.py").write_text("class One: ...\n")
    import_when_named("kept_out")
    importlib.import_module("kept_out")
    assert "kept_out.one" in sys.modules


def test_module_is_imported_when_it_is_used(package: Path) -> None:
    (package / "__init__.py").write_text("from kept_out.deeper import DEEP\nMADE = 1\n")
    (package / "deeper.py").write_text("DEEP = 2\n")
    import_when_used("kept_out")
    kept_out = importlib.import_module("kept_out")
    inspect.getmodule(test_module_is_imported_when_it_is_used, __file__)  # looks for the file of every module
    assert "kept_out.deeper" not in sys.modules
    assert (kept_out.MADE, kept_out.DEEP) == (1, 2)
    with pytest.raises(AttributeError, match="has no attribute 'absent'"):
        _ = kept_out.absent


def test_hidden_module_is_as_if_not_installed_until_it_is_restored(package: Path) -> None:
    (package.parent / "kept_out_user.py").write_text(
        "try:\n  import kept_out\n  found = True\nexcept ImportError:\n  found = False\n"
    )
    hide("kept_out")
    user = importlib.import_module("kept_out_user")
    assert not user.found
    restore("kept_out", "kept_out_user")
    assert user.found
    del sys.modules["kept_out_user"]


def test_module_is_hidden_within_a_block_only(package: Path) -> None:
    with hidden("kept_out"), pytest.raises(ImportError):
        importlib.import_module("kept_out")
    assert importlib.import_module("kept_out").__file__ == str(package / "__init__.py")


# ── in the libraries ─────────────────────────────────────────────────────────────────────────────────────────────


def test_all_names_of_openais_types_are_there() -> None:
    # in a process of its own, where nothing has been imported yet
    program = (
        "import app.providers.openai, openai.types, openai.types.chat, openai.types.responses\n"
        "for package in (openai.types, openai.types.chat, openai.types.responses):\n"
        "    assert len(package.__all__) > 20\n"
        "    for name in package.__all__: getattr(package, name)\n"
    )
    subprocess.run((sys.executable, "-c", program), cwd=ROOT, check=True, timeout=120)
