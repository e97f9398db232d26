"""The blocks of code in the documents run as they stand there."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from jsonschema import ValidationError

from app.providers.claude import description as claude
from app.providers.description import ProviderDescription
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.docs.entries import Answer, Entry, Shell, Sql
from tests.docs.table import TABLE
from tests.support.described import validator
from tests.support.documented import block
from tests.support.service import Person

SECONDS = 100
"""In which a block must end."""
LEFT_OUT = "…"


def name(entry: Entry) -> str:
    return f"{entry.document}: {entry.excerpt}"


def of_kind(kind: type[Entry]) -> list[Entry]:
    return [entry for entry in TABLE if isinstance(entry, kind)]


@pytest.mark.usefixtures("without_their_plan")
@pytest.mark.parametrize("entry", of_kind(Shell), ids=name)
async def test_shell_block_runs(entry: Shell, environment: dict[str, str], checkout: Path) -> None:
    text = block(entry.document, entry.excerpt).text
    for told, here in entry.replaced.items():
        assert told in text
        text = text.replace(told, re.sub(r"{(\w+)}", lambda found: environment[found[1]], here))
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-euc", text], cwd=checkout, env=environment, capture_output=True, text=True,
        timeout=SECONDS,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == entry.code, output
    assert [words for words in entry.says if words not in output] == [], output
    # the problems of the API and of Supabase do not change the exit code of curl
    assert '"status":4' not in output.replace(" ", ""), output
    assert '"hint":' not in output.replace(" ", ""), output


@pytest.mark.parametrize("entry", of_kind(Sql), ids=name)
def test_sql_block_runs(entry: Sql, stack: LocalSupabase) -> None:
    with psycopg.connect(stack.database_url) as owned:
        owned.execute("set local lock_timeout = '30s'")
        owned.execute(block(entry.document, entry.excerpt).text)
        owned.rollback()


@pytest.mark.parametrize("entry", of_kind(Answer), ids=name)
def test_answer_is_described(entry: Answer) -> None:
    shown = json.loads(block(entry.document, entry.excerpt).text)
    wrong = [error for error in faults(entry.component, shown) if not is_left_out(error)]
    assert wrong == []


def faults(component: str, shown: Any) -> list[ValidationError]:
    """Everything wrong with a value, those of the choices of a field among them."""
    found: list[ValidationError] = []
    pending = list(validator("components", "schemas", component).iter_errors(shown))
    while pending:
        error = pending.pop()
        # a field that may be null is described as a choice
        branches = [one for one in error.context or () if one.validator != "type"]
        pending += branches
        found += [] if branches else [error]
    return found


def is_left_out(error: ValidationError) -> bool:
    """The fields that a block leaves out, and the sign for them."""
    partial = isinstance(error.instance, dict) and LEFT_OUT in error.instance
    return partial and error.validator in ("required", "additionalProperties", "unevaluatedProperties")


async def test_api_starts_by_itself(environment: dict[str, str], checkout: Path) -> None:
    # in the shell's place, so that the signal reaches it
    text = block("README.md", "set -a; . ./.env; set +a").text.replace("\n.venv/bin/python", "\nexec .venv/bin/python")
    port = free_port()
    clean = {variable: environment[variable] for variable in ("PATH", "HOME")} | {"PARLEY_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        "sh", "-euc", text, cwd=checkout, env=clean, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(SECONDS), httpx.AsyncClient() as client:
            while True:
                assert process.returncode is None
                try:
                    if (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_openais_client_streams(environment: dict[str, str], reader: Person) -> None:
    text = block("docs/api.md", "api_key=access_token").text
    program = text.replace("http://127.0.0.1:8000", environment["API_URL"]).replace(
        "access_token", repr(reader.token), 1
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 20


def test_a_provider_is_described() -> None:
    names: dict[str, Any] = {**vars(claude), "ProviderDescription": ProviderDescription}
    exec(block("docs/providers.md", "ACME = ProviderDescription(").text, names)  # noqa: S102 - it is our own text
    assert isinstance(names["ACME"], ProviderDescription)
    assert names["ACME"].models[0].name == "acme-2"
