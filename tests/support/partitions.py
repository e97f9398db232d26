"""The optional partitions of messages and passages, made as docs/scaling.md says."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.support.callers import Connection
from tests.support.sources import ROOT

SCRIPT = ROOT / "supabase" / "optional" / "partitions.sql"

# the owner stands in each key of a table with partitions, and checks that were not valid for old rows have been checked
SHAPE = {
    "grants": """
        select c.relname, coalesce(a.attname, ''), x.grantee::regrole::text, x.privilege_type
        from pg_class as c
        left join pg_attribute as a on a.attrelid = c.oid and a.attacl is not null
        cross join aclexplode(coalesce(a.attacl, c.relacl)) as x
        where c.oid = any(array['public.messages', 'public.embeddings']::regclass[])
    """,
    "functions": """
        select p.oid::regprocedure::text, p.proacl::text, obj_description(p.oid), p.prosrc,
          array_remove(p.proconfig, 'plan_cache_mode=force_generic_plan')::text,
          p.prosecdef, p.proowner::regrole::text
        from pg_proc as p
        where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
          and p.proname not in ('own_long_text', 'refuse_taken_id')
    """,
    "policies": "select * from pg_policies where tablename in ('messages', 'embeddings')",
    "row level security": """
        select relname, relrowsecurity, relforcerowsecurity, relowner::regrole::text, obj_description(oid)
        from pg_class where oid = any(array['public.messages', 'public.embeddings']::regclass[])
    """,
    "triggers": """
        select pg_get_triggerdef(oid) from pg_trigger
        where tgrelid = any(array['public.messages', 'public.embeddings']::regclass[]) and not tgisinternal
          and tgname <> 'messages_refuse_taken_id'
    """,
    "columns": """
        select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
          attgenerated, attstorage, pg_get_expr(d.adbin, d.adrelid), col_description(attrelid, attnum)
        from pg_attribute as a
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where attrelid = any(array['public.messages', 'public.embeddings']::regclass[])
          and attnum > 0 and not attisdropped
    """,
    "keys": """
        select c.conrelid::regclass::text, conname, replace(replace(pg_get_constraintdef(c.oid), ', user_id', ''),
          ' NOT VALID', '')
        from pg_constraint as c
        where
          (c.conrelid = any(array['public.messages', 'public.embeddings']::regclass[])
          or c.confrelid = any(array['public.messages', 'public.embeddings']::regclass[]))
          and c.contype <> 'n' and c.conparentid = 0
    """,
    "indexes": """
        select indexrelid::regclass::text, replace(replace(pg_get_indexdef(indexrelid), ', user_id', ''), ' ONLY', '')
        from pg_index where indrelid = any(array['public.messages', 'public.embeddings']::regclass[])
    """,
    "sequence": "select pg_get_serial_sequence('public.messages', 'position')",
}


def divide(database_url: str) -> list[str]:
    """Run the script as the owner of the database. Returns what it says."""
    said: list[str] = []
    with psycopg.connect(database_url, autocommit=True) as db:
        db.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        # without parameters, so that the statements are sent as they stand
        db.execute(SCRIPT.read_bytes())
    return said


def shape(db: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """What must not depend on whether the tables have partitions."""
    return {what: sorted(db.execute(query.encode()).fetchall(), key=str) for what, query in SHAPE.items()}
