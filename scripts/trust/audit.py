"""`make audit`: asks PyPI's and npm's advisories about every locked package, and says what was asked and answered.

Exit code 0: each registry has answered, and nothing is open. 1: an advisory is open, or its entry in `ignored.toml` is
over. 2: a registry has not answered about some package (mirrors often have no advisories), so nothing is known of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scripts.install.command import one_at_a_time
from scripts.install.python_packages import install_python_packages
from scripts.local_supabase.node import tool_environment
from scripts.trust.components import ROOT

ENVIRONMENT = ROOT / ".venv-audit"
PYTHON_LOCKS = tuple(f"requirements-{name}.lock" for name in ("dev", "clients", "models", "audit", "deploy"))
"""requirements.lock and requirements-bootstrap.lock are parts of the first."""
IGNORED = Path(__file__).with_name("ignored.toml")
SECONDS = 600


@dataclass(frozen=True)
class Advisory:
    package: str
    ids: frozenset[str]
    """Its own, and those of the same advisory elsewhere."""
    about: str


@dataclass(frozen=True)
class Answer:
    """What a registry said about the packages of one lock file."""

    asked: str
    """Of whom and about what, in words."""
    packages: int
    unanswered: int
    advisories: tuple[Advisory, ...]
    detail: str = ""
    """Why it did not answer."""


@dataclass(frozen=True)
class Ignored:
    id: str
    reason: str
    until: date


def read_ignored(text: str) -> list[Ignored]:
    """Raises TypeError for an entry without an id, a reason and a day."""
    return [Ignored(**entry) for entry in tomllib.loads(text).get("ignored", [])]


def of_pip_audit(asked: str, output: dict[str, Any]) -> Answer:
    """Of the JSON that pip-audit prints."""
    dependencies = output["dependencies"]
    skipped = [one["skip_reason"] for one in dependencies if "skip_reason" in one]
    advisories = tuple(
        Advisory(
            f"{one['name']} {one['version']}",
            frozenset({vulnerability["id"], *vulnerability.get("aliases", [])}),
            f"fixed in {', '.join(vulnerability['fix_versions']) or 'no release'}",
        )
        for one in dependencies
        for vulnerability in one.get("vulns", [])
    )
    return Answer(asked, len(dependencies), len(skipped), advisories, skipped[0] if skipped else "")


def of_npm_audit(asked: str, packages: int, output: dict[str, Any]) -> Answer:
    """Of the JSON that `npm audit` prints."""
    if "vulnerabilities" not in output:
        detail = output.get("message") or output.get("error", {}).get("summary", "")
        return Answer(asked, packages, packages, (), detail)
    # a package that only needs one with an advisory has that one's name in `via`
    advisories = {
        Advisory(f"{via['name']} {via['range']}", frozenset({via["url"].rpartition("/")[2]}), via["title"])
        for one in output["vulnerabilities"].values()
        for via in one["via"]
        if isinstance(via, dict)
    }
    return Answer(asked, packages, 0, tuple(sorted(advisories, key=lambda one: one.package)))


def ask_pypi(lock: str) -> Answer:
    command: list[str | Path] = [
        ENVIRONMENT / "bin/pip-audit", "--requirement", ROOT / lock, "--disable-pip", "--require-hashes",
        "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    asked = f"PyPI about {lock}"
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    try:
        return of_pip_audit(asked, json.loads(done.stdout))
    except (ValueError, KeyError):
        return Answer(asked, 1, 1, (), done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no output")


def ask_npm() -> Answer:
    packages = len(json.loads((ROOT / "package-lock.json").read_text())["packages"]) - 1
    command: list[str | Path] = [
        ROOT / ".venv/bin/npm",
        "audit",
        "--package-lock-only",
        "--json",
        "--loglevel",
        "silent",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=tool_environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    asked = "npm about package-lock.json"
    try:
        return of_npm_audit(asked, packages, json.loads(done.stdout))
    except ValueError:
        return Answer(asked, packages, packages, (), done.stderr.strip()[:200] or "no output")


def verdict(answers: list[Answer], ignored: list[Ignored], today: date) -> tuple[list[str], int]:
    """The lines to print, and the exit code."""
    lines: list[str] = []
    code = 0
    for answer in answers:
        answered = answer.packages - answer.unanswered
        lines.append(f"{answer.asked}: answered for {answered} of {answer.packages} packages")
        if answer.unanswered:
            code = max(code, 2)
            lines.append(f"  NOT AUDITED: {answer.unanswered} packages ({answer.detail})")
        for advisory in answer.advisories:
            entry = next((one for one in ignored if one.id in advisory.ids), None)
            named = f"{advisory.package}: {', '.join(sorted(advisory.ids))}, {advisory.about}"
            if entry is not None and today <= entry.until:
                lines.append(f"  ignored until {entry.until}: {named} ({entry.reason})")
                continue
            lines.append(f"  OPEN: {named}" + (f" (ignored until {entry.until}, which is over)" if entry else ""))
            code = 1
    return lines, 1 if any("OPEN" in line for line in lines) else code


def main() -> int:
    with one_at_a_time(ROOT):
        install_python_packages(ENVIRONMENT, ROOT / "requirements-bootstrap.lock", ROOT / "requirements-audit.lock")
    answers = [*(ask_pypi(lock) for lock in PYTHON_LOCKS), ask_npm()]
    lines, code = verdict(answers, read_ignored(IGNORED.read_text()), datetime.now(UTC).date())
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
