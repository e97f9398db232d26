#!/bin/sh
# One would guess: a route of Litestar that declares a JSON body refuses another media type (415), and takes no text for
# a number, since JSON has types.
# What happens: the Content-Type of a request is not looked at, and the body is converted as query parameters are:
# "10" becomes 10, "true" becomes True.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "litestar==2.25.0" "httpx==0.28.1"

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import msgspec
from litestar import Litestar, post
from litestar.params import JSONBody
from litestar.testing import TestClient


class Order(msgspec.Struct):
    count: int
    gift: bool


@post("/orders", sync_to_thread=False)
def order(data: JSONBody[Order]) -> str:
    return f"{data.count!r} {data.gift!r}"


body = b'{"count": "10", "gift": "true"}'
print(f"litestar {version('litestar')}, msgspec {version('msgspec')}: POST {body.decode()}")
seen = []
with TestClient(Litestar([order], openapi_config=None)) as client:
    for media_type in ("application/json", "text/plain", "image/png"):
        answer = client.post("/orders", content=body, headers={"Content-Type": media_type})
        print(f"  as {media_type}: {answer.status_code} {answer.text}")
        seen.append((answer.status_code, answer.text))
sys.exit(0 if seen == [(201, "10 True")] * 3 else 1)
PYTHON
