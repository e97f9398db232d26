"""`make wheel`: builds the wheel twice, in two folders and at two times, and keeps it if both have the same bytes.

Nothing is fetched: hatchling is one of the locked packages. The web client is built first, and is part of the wheel.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.trust.components import ROOT
from scripts.trust.epoch import source_date_epoch
from scripts.web import build as build_web

PARTS = ("pyproject.toml", "README.md", "LICENSE", "app", "web/dist", "supabase/config.toml", "supabase/migrations")
"""What the wheel is made of."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".vite")


def build(folder: Path, epoch: int) -> Path:
    """Build the wheel of a copy of the repository's parts, made in `folder`. Returns its path."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            # the times of the copies differ
            shutil.copytree(source, target, ignore=LEFT_OUT, copy_function=shutil.copy)
        else:
            shutil.copy(source, target)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": str(epoch)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the wheel cannot be built:\n{done.stderr}")
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


def main() -> None:
    build_web()
    epoch = source_date_epoch()
    with tempfile.TemporaryDirectory(prefix="parley-") as one, tempfile.TemporaryDirectory(prefix="again-") as other:
        first, second = build(Path(one), epoch), build(Path(other) / "somewhere" / "else", epoch)
        digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (first, second)]
        if digests[0] != digests[1]:
            sys.exit(f"wheel: two builds differ: {digests}; compare them with diffoscope")
        (ROOT / "dist").mkdir(exist_ok=True)
        kept = shutil.copy(first, ROOT / "dist")
    print(f"{digests[0]}  {Path(kept).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
