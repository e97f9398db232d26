"""Reading the settings for the check: finds all settings that are wrong, where the start ends with the first one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv import dotenv_values

from app.check.findings import Finding, failed, ok, warning
from app.misspelt import misspelt
from app.providers.registry import PROVIDERS
from app.settings import FIELDS, LEGACY_NAMES, NotSet, Settings, SettingsError, load_settings, without_effect
from app.trace_settings import complaints

PLACEHOLDERS = {
    "SUPABASE_URL": "http://localhost",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_",
    "SUPABASE_SECRET_KEY": "sb_secret_",
}
"""Stand for required settings that are missing or wrong, so that the others can still be read."""


class Read(NamedTuple):
    """What could be read. `settings` has placeholders for the required settings in `wrong`, and the defaults of the
    others."""

    settings: Settings
    wrong: frozenset[str]
    findings: list[Finding]


def read(environ: Mapping[str, str], env_file: Path) -> Read:
    """The settings, and a finding for each one that is wrong or probably a mistake."""
    left = {name: value for name, value in environ.items() if value.strip()}
    wrong: list[str] = []
    findings: list[Finding] = []
    while True:
        try:
            settings = load_settings(left)
        except SettingsError as error:
            named = _named(str(error), left, missing=isinstance(error, NotSet))
            if not named:
                raise
            findings.append(_finding(error, env_file))
            wrong += named
            for name in named:
                _take_out(name, left)
        else:
            break
    findings += [failed(line, "correct it, or set OTEL_TRACES_EXPORTER=none") for line in complaints(environ)]
    if not findings:
        count = sum(name in left for name in (*FIELDS, *PROVIDERS.settings, *LEGACY_NAMES))
        findings.append(ok(f"{count} settings are set, and each has a value that is allowed"))
    findings += [warning(line, "correct the name, or remove it") for line in _misspelt(environ, env_file)]
    findings += [warning(line, "set both, or none") for line in without_effect(settings)]
    named_findings = [Finding(name="settings", status=one.status, detail=one.detail, todo=one.todo) for one in findings]
    return Read(settings, frozenset(wrong), named_findings)


def _named(message: str, left: Mapping[str, str], *, missing: bool) -> list[str]:
    """The settings to leave out because of `message`: the required ones that it names, else the first that is set."""
    known = [name for name in re.findall(r"[A-Z][A-Z_]+", message) if name in FIELDS or name in PROVIDERS.settings]
    if missing:
        return known[:1]
    if required := [name for name in known if name in PLACEHOLDERS]:
        # of a key of another project, the address may be the one that is wrong: nothing can be asked there
        return required
    return [name for name in known if name in left][:1]


def _take_out(name: str, left: dict[str, str]) -> None:
    left.pop(name, None)
    for legacy, present in LEGACY_NAMES.items():
        if present == name:
            left.pop(legacy, None)
    if name in PLACEHOLDERS:
        left[name] = PLACEHOLDERS[name]


def _finding(error: SettingsError, env_file: Path) -> Finding:
    if not isinstance(error, NotSet):
        return failed(str(error), "correct it; .env.example explains each setting")
    more = f"; {env_file} is not read: load it with `set -a; . ./{env_file}; set +a`" if env_file.exists() else ""
    return failed(str(error), f"set it in the environment{more}")


def _misspelt(environ: Mapping[str, str], env_file: Path) -> list[str]:
    try:
        in_file = [name for name in dotenv_values(env_file) if name in environ]
    except (OSError, UnicodeDecodeError):
        in_file = []
    return misspelt(environ, in_file)
