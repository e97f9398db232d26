#!/bin/sh
# One would guess: where a handler declares a msgspec Struct or a dataclass, a dependency may provide an instance of a
# subclass of it, as Python's own isinstance says.
# What happens: Litestar checks dependencies with msgspec.convert, for which an instance of a subclass is none, and
# the request is answered with 500.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "litestar==2.25.0" "msgspec==0.22.0" "httpx==0.28.1"

cat > "$folder/app.py" <<'PYTHON'
import sys
from dataclasses import dataclass
from importlib.metadata import version

import msgspec
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.testing import TestClient


class User(msgspec.Struct):
    name: str


class Admin(User):
    rights: int = 1


@dataclass
class Guest:
    name: str


@dataclass
class Invited(Guest):
    by: str = "Ada"


@get("/user", dependencies={"one": Provide(lambda: User("Ada"), sync_to_thread=False)})
async def user(one: NamedDependency[User]) -> str:
    return type(one).__name__


@get("/admin", dependencies={"one": Provide(lambda: Admin("Ada"), sync_to_thread=False)})
async def admin(one: NamedDependency[User]) -> str:
    return type(one).__name__


@get("/invited", dependencies={"one": Provide(lambda: Invited("Ada"), sync_to_thread=False)})
async def invited(one: NamedDependency[Guest]) -> str:
    return type(one).__name__


print(f"litestar {version('litestar')}, msgspec {version('msgspec')}")
seen = {}
with TestClient(Litestar([user, admin, invited])) as client:
    for path in ("/user", "/admin", "/invited"):
        answer = client.get(path)
        seen[path] = answer.status_code
        print(f"  {path}: {answer.status_code} {answer.text[:80]}")
sys.exit(0 if seen == {"/user": 200, "/admin": 500, "/invited": 500} else 1)
PYTHON
"$folder/venv/bin/python" "$folder/app.py"
