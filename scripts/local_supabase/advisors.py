"""The database linter: Supabase's advisors, run on a throw-away database with all migrations."""

from __future__ import annotations

import json

from scripts.local_supabase.migrations import supabase_cli
from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase

# On a database that nobody has queried, every index is unused.
_EXPECTED = "unused_index"


def findings(database_url: str) -> list[str]:
    """What the security and performance advisors find, one line each; unused indexes are left out."""
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
    """Migrate a throw-away database and ask the advisors. StackError with what they find."""
    with LocalSupabase.throwaway() as stack:
        found = findings(stack.database_url)
    if found:
        raise StackError("the database advisors found:\n" + "\n".join(f"  {line}" for line in found))
    print(f"advisors: nothing but {_EXPECTED}")
