"""Keys that somebody has written into a file are found, and are not shown."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from app.personal_keys import make_key
from scripts.trust.leaks import leaks

LETTERS = string.ascii_letters + string.digits
KEYS = {
    "Personal key of Parley": make_key().text,
    "Secret key or access token of Supabase": f"sb_secret_{LETTERS[:22]}_{LETTERS[22:30]}",
    "Key of a provider": f"sk-ant-api03-{LETTERS}{LETTERS}",
    "OpenAI Token": f"sk-{LETTERS[:20]}T3BlbkFJ{LETTERS[20:40]}",
    "GitHub Token": f"ghp_{LETTERS[:36]}",
    "AWS Access Key": f"AKIA{LETTERS.upper()[:16]}",
    "Private Key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "Basic Auth Credentials": f"postgresql://postgres:{LETTERS[:12]}@db.example.com/postgres",
}


@pytest.mark.parametrize("kind", KEYS)
def test_key_is_found_and_not_shown(kind: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"first line\nkey = {KEYS[kind]}\n")
    assert leaks(["notes.md"], tmp_path) == [f"notes.md:2: {kind}"]


def test_line_that_must_hold_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "test.py").write_text(f'KEY = "{KEYS["GitHub Token"]}"  # pragma: allowlist secret\n')
    assert leaks(["test.py"], tmp_path) == []
