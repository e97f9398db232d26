#!/bin/sh
# One would guess: OPTIONS of a path answers with an Allow header that names every method which the path takes.
# What happens: where a path has a handler for each method, Litestar's own OPTIONS names the methods of one of the
# handlers only. The 405 of another method names them all.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "litestar==2.25.0" "httpx==0.28.1"

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from litestar import Litestar, delete, get, patch
from litestar.testing import TestClient


@get("/things", sync_to_thread=False)
def read() -> None: ...


@patch("/things", sync_to_thread=False)
def change() -> None: ...


@delete("/things", sync_to_thread=False)
def remove() -> None: ...


print(f"litestar {version('litestar')}: GET, PATCH and DELETE of one path, a handler each")
seen = {}
with TestClient(Litestar([read, change, remove], openapi_config=None)) as client:
    for method in ("OPTIONS", "PUT"):
        answer = client.request(method, "/things")
        seen[method] = {name.strip() for name in answer.headers.get("allow", "").split(",")} - {"", "OPTIONS"}
        print(f"  {method}: {answer.status_code}, Allow names {sorted(seen[method])}")
every = {"GET", "PATCH", "DELETE"}
sys.exit(0 if len(seen["OPTIONS"]) == 1 and seen["PUT"] == every else 1)
PYTHON
