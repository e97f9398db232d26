"""The programs of docs/clients.md run as they stand there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local_supabase import LocalSupabase
from tests.clients.clients import NODE
from tests.support.documented import block
from tests.support.service import PASSWORD, Api, sign_up
from tests.support.sources import ROOT

PROGRAMS = {
    "curl": block("docs/clients.md", "# TOKEN is the access token"),
    "Python, with a key": block("docs/clients.md", 'api_key=os.environ["PARLEY_KEY"]'),
    "Python, with the user's token": block("docs/clients.md", "api_key=lambda: supabase"),
    "JavaScript, with a key": block("docs/clients.md", "apiKey: process.env.PARLEY_KEY"),
    "JavaScript, with the user's token": block("docs/clients.md", "apiKey: async () =>"),
}
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


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_program_runs_as_it_stands(
    service: Api, settings: dict[str, str], stack: LocalSupabase, tmp_path: Path, kind: str
) -> None:
    person = await sign_up(stack)
    program = PROGRAMS[kind]
    code = program.text + EXPIRED.get(kind, "")
    commands: dict[str, list[str | Path]] = {
        "sh": ["sh", "-euc", code],
        "python": [sys.executable, "-c", code],
        "js": [NODE, "--input-type=module", "--eval", code],
    }
    command = commands[program.language]
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
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "Hello!" in done.stdout
