"""Bootstrap: runs the SQL of `sql/` once, so that a database has what a hosted project has before its migrations."""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg
from psycopg import sql

from scripts.local_supabase.keys import Keys
from scripts.local_supabase.postgres import SUPERUSER

_SQL = Path(__file__).parent / "sql"
_BOOTSTRAP = sorted(_SQL.glob("[0-9]*.sql"))
_PARTITIONS = _SQL / "partitions.sql"


def bootstrap(connection: psycopg.Connection, keys: Keys) -> None:
    """Set a cluster up like a hosted project, in the connection's transaction.

    The hash of the SQL is stored as the superuser's comment, so that the same bootstrap does not run again: it would
    grant again what migrations have revoked.
    """
    script = "\n".join(path.read_text() for path in _BOOTSTRAP)
    version = f"bootstrap {hashlib.sha256(script.encode()).hexdigest()}"
    known = connection.execute(
        "select shobj_description(oid, 'pg_authid') from pg_catalog.pg_roles where rolname = %s", [SUPERUSER]
    ).fetchone()
    if known != (version,):
        connection.execute("set local client_min_messages = warning")
        connection.execute(script.encode())
        for role, password in (
            ("postgres", keys.owner_password),
            ("authenticator", keys.api_password),
            ("supabase_auth_admin", keys.auth_password),
        ):
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password)))
        connection.execute(sql.SQL("comment on role {} is {}").format(sql.Identifier(SUPERUSER), sql.Literal(version)))
    maintain(connection)


def maintain(connection: psycopg.Connection) -> None:
    """Create the partitions of realtime.messages for the next days, and drop those that are too old."""
    connection.execute("set local client_min_messages = warning")
    connection.execute(_PARTITIONS.read_bytes())
