"""The Makefile's commands for the embedded Supabase: `advisors` and `reset`."""

from __future__ import annotations

import shutil
import sys

from scripts.local_supabase.advisors import check_advisors
from scripts.local_supabase.environment import RunSettings
from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase


def reset() -> None:
    """Delete the database of `make run` and make a new one with the migrations. The keys stay the same."""
    settings = RunSettings.load()
    stack = LocalSupabase(settings.data, supabase_port=settings.supabase_port, db_port=settings.db_port)
    stack.claim()
    shutil.rmtree(settings.data / "postgres", ignore_errors=True)
    with stack:
        print(f"the database in {settings.data} is new; `make run` serves it")


def main() -> None:
    commands = {"advisors": check_advisors, "reset": reset}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: python -m scripts.local_supabase {{{'|'.join(commands)}}}")
    try:
        commands[sys.argv[1]]()
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
