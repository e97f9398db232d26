"""Requests that schemathesis makes of docs/openapi.json, valid and not, in sequences too: no answer is a 5xx, and each
is one that the description has. `make fuzz` gives them 10 minutes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.service import ROOT, running_api, sign_up
from tests.support.upstream import Upstream

SECONDS = float(os.environ.get("PARLEY_FUZZ_SECONDS", "60"))
SETTINGS = ROOT / "tests" / "api" / "schemathesis.toml"


@pytest.mark.timeout(2 * SECONDS + 120)
@pytest.mark.parametrize("signed_in", [True, False], ids=["with a token", "without one"])
async def test_every_answer_is_described_and_none_is_a_failure(
    stack: LocalSupabase, kept_settings: None, upstream: Upstream, tmp_path: Path, signed_in: bool
) -> None:
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "MODERATION": "openai",
    }
    async with running_api(stack, tmp_path / "api.log", **settings) as api:
        token = [f"--header=Authorization: Bearer {(await sign_up(stack)).token}"] if signed_in else []
        program = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={SETTINGS}",
            "run",
            ROOT / "docs" / "openapi.json",
            f"--url={api.url}",
            f"--max-time={SECONDS / 2:g}",
            *token,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        report, _ = await program.communicate()
        assert program.returncode == 0, report.decode()
        assert '"level": "error"' not in api.log_text
