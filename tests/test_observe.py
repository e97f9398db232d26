"""The form of the log: readable on a terminal, JSON elsewhere, and no key in either."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

PROGRAM = """
import logging
from app import observe
observe.configure("info", ["sk-the-key"])
observe.include_libraries()
observe.event("provider.key_refused", provider="openai", setting="OPENAI_API_KEY", words="no sk-the-key, no sk-the-key")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
try:
    raise ValueError("words of somebody")
except ValueError:
    logging.getLogger("somewhere").exception("it failed for %s", "somebody")
logging.getLogger("somewhere").info("nothing of importance")
"""


def on_a_terminal(**environment: str) -> str:
    """What the program writes to a terminal."""
    leader, follower = pty.openpty()
    # nothing reads while it runs: a terminal holds these few lines
    subprocess.run(
        [sys.executable, "-c", PROGRAM], stderr=follower, check=True, timeout=60, env={**os.environ, **environment}
    )
    os.close(follower)
    written = b""
    with os.fdopen(leader, "rb", buffering=0) as reading:
        while True:
            try:
                piece = reading.read(65536)
            except OSError:  # how Linux says that nobody writes any more
                break
            if not piece:
                break
            written += piece
    return written.decode()


def elsewhere() -> str:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    ).stderr


def test_every_line_is_json_where_nobody_looks() -> None:
    """What a library logs, too: without its words, which may be anybody's, except the server's."""
    lines = [json.loads(line) for line in elsewhere().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("provider.key_refused", "warning"),
        ("library.warning", "warning"),
        ("library.error", "error"),
    ]
    refused, warning, error = lines
    assert refused["words"] == "no [key], no [key]"
    assert (warning["library"], warning["detail"]) == ("uvicorn.error", "Invalid HTTP request received.")
    assert (error["library"], error["detail"], error["error"]) == ("somewhere", None, "ValueError")
    assert "somebody" not in json.dumps(lines)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_lines_on_a_terminal_can_be_read() -> None:
    lines = on_a_terminal(NO_COLOR="1").splitlines()
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)
    for part in ("warning", "provider.key_refused", "provider=openai", "setting=OPENAI_API_KEY", "[key]"):
        assert part in lines[0]
    assert not lines[0].startswith("{")
    assert "sk-the-key" not in lines[0]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_lines_on_a_terminal_have_colours() -> None:
    assert "\x1b[" in on_a_terminal(NO_COLOR="", TERM="xterm")
