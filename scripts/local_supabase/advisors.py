"""Database linters, run on a temporary database with all migrations: Supabase's advisors, and pgrls, which also proves
for each table that nobody reads or writes another user's rows. Its exceptions are in `pgrls.toml`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.local_supabase.migrations import supabase_cli
from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase

# The database has never been queried, so every index in it is unused.
_EXPECTED = "unused_index"
_PGRLS = (
    ("lint", "--min-severity", "warning"),
    ("verify", "--strict"),
    # only leaks: private tables have no owner that their policies could name
    ("verify", "--mode", "cross-tenant"),
    ("verify", "--mode", "write"),
    ("verify", "--mode", "escalation"),
    ("verify", "--mode", "reachability"),
)


def findings(database_url: str) -> list[str]:
    """The findings of the security and performance advisors, one line each, without unused indexes."""
    ran = supabase_cli(
        "db",
        "advisors",
        f"--remote={database_url}?sslmode=disable",
        "--type=all",
        "--level=info",
        "--output=json",
    )
    if ran.returncode != 0:
        raise StackError(f"the advisors did not run:\n{ran.stdout}{ran.stderr}")
    found = json.loads(ran.stdout) if ran.stdout.strip() else []
    return [f"{one['level']} {one['name']}: {one['detail']}" for one in found if one["name"] != _EXPECTED]


def policy_findings(database_url: str) -> list[str]:
    """What pgrls says where it finds fault: the whole report of each of its commands that does."""
    program = Path(sys.executable).with_name("pgrls")
    reports = []
    for arguments in _PGRLS:
        ran = subprocess.run(
            [program, *arguments],
            cwd=REPOSITORY,
            env=os.environ | {"DATABASE_URL": database_url},
            capture_output=True,
            text=True,
        )
        if ran.returncode != 0:
            reports.append(f"pgrls {' '.join(arguments)}:\n{ran.stdout}{ran.stderr}")
    return reports


def check_advisors() -> None:
    """Run all linters on a temporary database. Raises StackError with their findings."""
    with LocalSupabase.throwaway() as stack:
        found = findings(stack.database_url)
        reports = policy_findings(stack.database_url)
    if found:
        reports.insert(0, "the database advisors found:\n" + "\n".join(f"  {line}" for line in found))
    if reports:
        raise StackError("\n".join(reports))
    print(f"advisors: no findings except {_EXPECTED}; pgrls: no findings, no leaks")
