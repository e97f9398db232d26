"""Database linter: runs Supabase's advisors on a temporary database with all migrations."""

from __future__ import annotations

import json

from scripts.local_supabase.migrations import supabase_cli
from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase

# The database has never been queried, so every index in it is unused.
_EXPECTED = "unused_index"


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


def check_advisors() -> None:
    """Run the advisors on a temporary database. Raises StackError with their findings."""
    with LocalSupabase.throwaway() as stack:
        found = findings(stack.database_url)
    if found:
        raise StackError("the database advisors found:\n" + "\n".join(f"  {line}" for line in found))
    print(f"advisors: no findings except {_EXPECTED}")
