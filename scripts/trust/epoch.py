"""The time that builds write into what they make."""

from __future__ import annotations

import os
import subprocess

from scripts.trust.components import ROOT

EARLIEST = 315_619_200
"""1980-01-02: a ZIP archive has no earlier times."""


def source_date_epoch() -> int:
    """SOURCE_DATE_EPOCH where it is set; else the time of the last commit, in seconds. Outside of a repository, the
    earliest time."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(told)
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.strip() else EARLIEST
