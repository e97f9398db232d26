"""The optional partitions of messages and passages, made as docs/scaling.md says."""

from __future__ import annotations

import psycopg

from tests.support.sources import ROOT

SCRIPT = ROOT / "supabase" / "optional" / "partitions.sql"


def divide(database_url: str) -> list[str]:
    """Run the script as the owner of the database. Returns what it says."""
    said: list[str] = []
    with psycopg.connect(database_url, autocommit=True) as db:
        db.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        # without parameters, so that the statements are sent as they stand
        db.execute(SCRIPT.read_bytes())
    return said
