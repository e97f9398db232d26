"""`make bench-compare REV=…`: this checkout and another revision by turns, with a floor beside them.

The revision is checked out into a temporary folder. It runs on this virtual environment if its lock is the same, else
on one of its own. A change is judged by the ratios of one run: between two runs the machine changes more.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import uvloop

from scripts.bench.scenarios import EACH_ROUND, alone, burst, by_turns, delayed, opened, paced, table
from scripts.bench.servers import LOAD_CORE, ROOT, beside, floor, parley, pin

LOCK = "requirements-dev.lock"
OURS = "this checkout"
SCENARIOS = {"alone": alone, "burst": burst, "paced": paced, "delayed": delayed, "opened": opened}


@contextlib.contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The tree of `revision` in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


def python_of(root: Path) -> str:
    """The Python with the locked packages of the checkout."""
    if (root / LOCK).read_bytes() == (ROOT / LOCK).read_bytes():
        return sys.executable
    subprocess.run(["make", "install"], cwd=root, check=True, stdout=sys.stderr)
    return str(root / ".venv" / "bin" / "python")


async def compare(revision: str, rounds: int, names: list[str]) -> None:
    pin(psutil.Process(), LOAD_CORE)
    with checkout(revision) as root:
        python = python_of(root)
        with (
            beside() as ports,
            parley(ports, name=revision, root=root, python=python) as theirs,
            parley(ports, name=OURS) as ours,
            floor("bare", "bare aiohttp", ports) as bare,
        ):
            scenarios = [SCENARIOS[name] for name in names] or EACH_ROUND
            samples = await by_turns([theirs, ours, bare], rounds, scenarios)
    print("\n".join(table(samples, revision)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-compare", description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="all, if none is named")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    uvloop.run(compare(arguments.revision, arguments.rounds, arguments.scenarios))


if __name__ == "__main__":
    main()
