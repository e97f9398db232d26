"""The programs of docs/clients.md run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local_supabase import LocalSupabase
from tests.clients.clients import NODE
from tests.support.service import PASSWORD, Api, sign_up
from tests.support.sources import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text()
SECTIONS = ("curl", "Python, with a key", "Python, with the user's token", "JavaScript, with a key",
            "JavaScript, with the user's token")  # fmt: skip
EXPIRED = {
    "Python, with the user's token": """
kept = supabase.auth.get_session()
kept.expires_at = 1
supabase.auth._storage.set_item(supabase.auth._storage_key, kept.model_dump_json())
parley.models.list()
assert parley.api_key == supabase.auth.get_session().access_token != kept.access_token
""",
    "JavaScript, with the user's token": """
const { storage, storageKey } = supabase.auth;
const kept = JSON.parse(await storage.getItem(storageKey));
await storage.setItem(storageKey, JSON.stringify({ ...kept, expires_at: 1 }));
await parley.models.list();
const fresh = (await supabase.auth.getSession()).data.session.access_token;
if (parley.apiKey !== fresh || fresh === kept.access_token) throw new Error("the token was not refreshed");
process.exit();  // the session would be refreshed for as long as the program runs
""",
}
"""What is run after the program: its token expires, and the next request has a new one."""


def program(section: str) -> tuple[str, str]:
    """The language and the code of the first block of a section."""
    body = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert body is not None, section
    block = re.search(r"```(sh|python|js)\n(.*?)^```", body[1], re.MULTILINE | re.DOTALL)
    assert block is not None, section
    return block[1], block[2]


@pytest.mark.parametrize("section", SECTIONS)
async def test_program_runs_as_it_stands(
    service: Api, settings: dict[str, str], stack: LocalSupabase, tmp_path: Path, section: str
) -> None:
    person = await sign_up(stack)
    language, code = program(section)
    code += EXPIRED.get(section, "")
    command: dict[str, list[str | Path]] = {
        "sh": ["sh", "-euc", code],
        "python": [sys.executable, "-c", code],
        "js": [NODE, "--input-type=module", "--eval", code],
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "API_URL": service.url,
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "TOKEN": person.token,
        "EMAIL": person.email,
        "PASSWORD": PASSWORD,
        "PARLEY_KEY": settings["CLIENT_KEY"],
    }
    done = await asyncio.to_thread(
        subprocess.run, command[language], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "Hello!" in done.stdout
