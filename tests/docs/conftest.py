"""A copy of the repository as somebody has it who has run `make run`, and what the documents' blocks may use there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from scripts.local_supabase import LocalSupabase
from scripts.run import shell_lines
from tests.support.callers import Connection
from tests.support.limits import kept_settings, owned
from tests.support.service import PASSWORD, ROOT, Api, Person, running_api, sign_up

__all__ = ["kept_settings", "owned"]

PLAN = "pro"
"""The plan that the documents make."""


@pytest.fixture(scope="session")
async def reader(stack: LocalSupabase) -> Person:
    """Who reads the documents: a user with the plan premium."""
    return await sign_up(stack)


@pytest.fixture(scope="module")
async def demo_api(
    stack: LocalSupabase, kept_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API without a provider's key: the offline demo answers."""
    log = tmp_path_factory.mktemp("documents") / "api.log"
    async with running_api(stack, log, EMBEDDING_MODEL="local") as api:
        yield api


@pytest.fixture(scope="session")
def variables(stack: LocalSupabase) -> dict[str, str]:
    """What `make run` writes for scripts, but for the address of the API."""
    return {
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "DATABASE_URL": stack.database_url,
    }


@pytest.fixture(scope="session")
def checkout(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything of this one, a Git repository of its own, and a `.env`."""
    folder = tmp_path_factory.mktemp("checkout")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    for path in ROOT.iterdir():
        if path.name not in (".git", ".env", ".parley"):
            (folder / path.name).symlink_to(path)
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
    return folder


@pytest.fixture(scope="module")
async def environment(
    demo_api: Api, reader: Person, variables: dict[str, str], checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Of a block of a shell. The developer's own settings must not reach it."""
    files = tmp_path_factory.mktemp("files")
    (files / "rules.md").write_text("# House rules\n\nThe kitchen closes at ten.\n")
    told = {"API_URL": demo_api.url, **variables, "DEMO_EMAIL": reader.email, "DEMO_PASSWORD": PASSWORD}
    (checkout / ".parley").mkdir(exist_ok=True)
    (checkout / ".parley/env").write_text(shell_lines(told))
    return {
        "PATH": f"{checkout}/.venv/bin:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        **told,
        "EMAIL": reader.email,
        "PASSWORD": PASSWORD,
        "TOKEN": reader.token,
        "USER_ID": reader.id,
        "FILES": str(files),
    }


@pytest.fixture(scope="module")
def without_their_plan(owned: Connection) -> Iterator[None]:
    """Takes away the plan and the price that the documents' commands leave in the database."""
    yield
    owned.execute("update public.entitlements set plan = 'premium' where plan = %s", [PLAN])
    owned.execute("delete from private.plans where plan = %s", [PLAN])
    owned.execute("delete from private.model_prices where model = 'my-model'")
