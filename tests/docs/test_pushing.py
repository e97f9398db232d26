"""The commands of docs/deploy.md that push migrations, run by the CLI to a database of this machine in the place of the
linked project."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection, one
from tests.support.documented import block
from tests.support.limits import owned
from tests.support.sources import ROOT

__all__ = ["owned"]

DEPLOY = "docs/deploy.md"
OURS = "20200101000000"
"""The version of a migration of the product that Parley is added to."""
TABLE = "create table public.of_the_product (id bigint primary key);\n"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A folder beside the checkout, with a migration that is older than all of Parley's."""
    (tmp_path / "checkout").symlink_to(ROOT)
    migrations = tmp_path / "your-product" / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (migrations.parent / "config.toml").write_text('project_id = "product"\n')
    (migrations / f"{OURS}_product.sql").write_text(TABLE)
    return tmp_path


@pytest.fixture
def without_the_product(owned: Connection) -> Iterator[None]:
    yield
    owned.execute("drop table if exists public.of_the_product")
    owned.execute("delete from supabase_migrations.schema_migrations where version = %s", [OURS])


def push(command: str, folder: Path, stack: LocalSupabase) -> subprocess.CompletedProcess[str]:
    """Run a command that names the linked project by --remote, without a question, in the folder `checkout` there."""
    assert "--remote" in command
    here = command.replace("--remote", f"--yes '--remote={stack.database_url}?sslmode=disable'")
    # not `cd`, which would lead into the real folder, whose neighbour is another one
    here = here.replace("../your-product", str(folder / "your-product"))
    environment = {"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(
        ["sh", "-euc", here], cwd=folder / "checkout", env=environment, capture_output=True, text=True, timeout=100
    )


def test_a_project_that_has_all_migrations_is_left_as_it_is(stack: LocalSupabase, product: Path) -> None:
    """The last two lines of the block; the first two need an account."""
    lines = block(DEPLOY, "npx supabase login").text.splitlines()
    assert [line.split()[2] for line in lines] == ["login", "link", "db", "db"]
    for line in lines[2:]:
        done = push(line, product, stack)
        assert done.returncode == 0, done.stderr
        assert "up to date" in done.stdout + done.stderr


@pytest.mark.usefixtures("without_the_product")
def test_migrations_of_a_product_and_of_parley_are_pushed_together(
    stack: LocalSupabase, product: Path, owned: Connection
) -> None:
    text = block(DEPLOY, "--include-all").text
    copied, pushed = text.splitlines()
    alone = push(pushed, product, stack)
    assert alone.returncode != 0, "the text says that the CLI refuses to push without Parley's migrations"
    assert "Remote migration versions not found in local migrations directory" in alone.stderr
    done = push(f"{copied}\n{pushed}", product, stack)
    assert done.returncode == 0, done.stderr
    assert one(owned, "select to_regclass('public.of_the_product')::text", []) == "of_the_product"
    count = len(list((product / "your-product/supabase/migrations").iterdir()))
    assert one(owned, "select count(*) from supabase_migrations.schema_migrations", []) == count
