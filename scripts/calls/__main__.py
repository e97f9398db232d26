"""`make record-calls`: writes tests/database/calls-VERSION.json, for the version in app/__init__.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app import __version__
from scripts.calls.recorder import User, recording, sign_up
from scripts.calls.tape import Call, Recording
from scripts.calls.tour import tour
from scripts.local_supabase import LocalSupabase


async def record(stack: LocalSupabase, user: User) -> list[Call]:
    """The calls that the current code makes."""
    async with recording(stack, user) as supabase:
        await tour(supabase, user)
    return supabase.recorder.calls


def main() -> None:
    release = __version__
    if Recording(release, []).path.exists():
        sys.exit(f"the calls of {release} are recorded already: a release's recording is never made again")
    with LocalSupabase.throwaway() as stack:
        made = Recording(release, asyncio.run(record(stack, sign_up(stack))))
    made.write()
    print(f"{len(made.calls)} calls of {release} are recorded in {made.path.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
