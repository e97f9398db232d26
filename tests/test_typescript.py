"""What a frontend gets of docs/openapi.json: types by openapi-typescript, and a client that compiles on them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

from scripts import openapi
from tests.support.client import script
from tests.support.service import Api, Person

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "tests" / "typescript" / "client.ts"
TOOLS = ROOT / "node_modules" / ".bin"
STRICT = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "noEmit": True,
    "target": "es2023",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
    "types": [],
}


def run(*command: str | Path, cwd: Path) -> str:
    """A tool's output; it must succeed. Tools run on the virtual environment's Node."""
    environment = {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}", "HOME": str(cwd)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_client_compiles_on_the_generated_types(tmp_path: Path) -> None:
    """Generated with openapi-typescript's defaults, as anybody would."""
    run(TOOLS / "openapi-typescript", openapi.COPY, "-o", "schema.d.ts", cwd=tmp_path)
    options = STRICT | {"paths": {"parley-api": [str(tmp_path / "schema.d.ts")]}}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": [str(CLIENT)]}))
    assert run(TOOLS / "tsc", "--project", tmp_path, cwd=tmp_path) == ""


def test_client_calls_every_operation() -> None:
    document = json.loads(openapi.COPY.read_text())
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert set(re.findall(r'api\.([A-Z]+)\("([^"]+)"', CLIENT.read_text())) == described


async def test_client_works(api: Api, owner: Person) -> None:
    """The types are true: what they say is there is there. Node strips them by itself."""
    call = f"import({json.dumps(str(CLIENT))}).then((client) => client.everything(...process.argv.slice(1)))"
    node = (ROOT / ".venv" / "bin" / "node", "--eval", f"{call}.then(console.log)")
    said = await asyncio.to_thread(run, *node, api.url, owner.token, script(tokens=3), cwd=ROOT)
    assert said == "openai/scripted-1: tok0 tok1 tok2  (stop, 3 tokens)\n"
