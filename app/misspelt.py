"""Misspelt settings: finds names in `.env` and in the environment that are almost the name of a setting.

`.env` is written for Parley, so a name there only has to be similar. The environment holds other programs' names too,
so a name there must be more similar, and the setting itself must be missing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from app.providers.registry import PROVIDERS
from app.settings import FIELDS, LEGACY_NAMES

RUN_SETTINGS = ("PARLEY_SUPABASE_PORT", "PARLEY_DB_PORT", "PARLEY_DATA", "PARLEY_REPLICAS")
"""Further settings that `make run` reads."""
COMMAND_SETTINGS = ("PARLEY_TOKEN", "PARLEY_EMAIL", "PARLEY_PASSWORD")
"""Further settings that `app.retrieval.ingest` reads."""
SETTINGS = (*FIELDS, *PROVIDERS.settings, *RUN_SETTINGS, *COMMAND_SETTINGS)
WRITTEN = ("API_URL", "API_URL_2", "DATABASE_URL", "DEMO_EMAIL", "DEMO_PASSWORD")
"""Further names that `make run` writes into its file; they are in the environment of anyone who loads that file."""

ALIASES = {
    **{alias: setting.name for setting in PROVIDERS.settings.values() for alias in setting.aliases},
    "ALLOWED_ORIGINS": "CORS_ALLOW_ORIGINS",
    "CORS_ORIGINS": "CORS_ALLOW_ORIGINS",
    "ENABLE_WEB": "WEB",
    "PARLEY_DATABASE_PORT": "PARLEY_DB_PORT",
    "PREMIUM_REQUIRED": "REQUIRE_PREMIUM",
    "RAG_ENABLED": "ENABLE_RAG",
    "SUPABASE_API_KEY": "SUPABASE_PUBLISHABLE_KEY",
    "WEB_ENABLED": "WEB",
}
"""Other programs' names for our settings: mistakes in `.env`, but right in the environment."""
OTHER_NAMES = {**LEGACY_NAMES, **ALIASES}
"""Both kinds of other names. A misspelt one is reported too."""
FOREIGN = frozenset({"SUPABASE_DB_URL"})
"""Settings of the Supabase CLI."""
EVERYBODYS = frozenset({"LOG_LEVEL", "REDIS_URL", "WEB"})
"""Settings with common names: a similar name in the environment probably belongs to another program."""
OURS = frozenset({"PARLEY", "SUPABASE", *(name.partition("_")[0] for name in PROVIDERS.settings)})
"""First words of names that are probably meant for Parley."""

LIKE, VERY_LIKE = 0.8, 0.9
"""The least ratio of `difflib`, in `.env` and in the environment. Two swapped letters of twelve give 0.92."""


def misspelt(environ: Mapping[str, str], in_file: Iterable[str] = ()) -> list[str]:
    """A line for each name that is probably meant for Parley. `in_file`: the names in `.env`. No line has a value."""
    written = dict.fromkeys(in_file)
    found = [(".env", name, _meant_in_file(name)) for name in written]
    found += [
        ("the environment", name, _meant_in_environment(name, environ)) for name in environ if name not in written
    ]
    return [
        f"{name} in {place} is not a setting of Parley: did you mean {meant}?" for place, name, meant in found if meant
    ]


def _meant_in_file(name: str) -> str | None:
    plain = name.upper()
    if _known(name) or plain in FOREIGN or _of_another_program(plain):
        return None
    meant = (
        ALIASES.get(plain)
        or _same_letters(plain)
        or _same_words(plain)
        or _without_key(plain)
        or _closest(plain, SETTINGS, LIKE)
    )
    return meant or _fewer_words(plain, 1) or OTHER_NAMES.get(_closest(plain, OTHER_NAMES, LIKE) or "")


def _meant_in_environment(name: str, environ: Mapping[str, str]) -> str | None:
    plain = name.upper()
    if _known(name) or plain in FOREIGN or plain in ALIASES or _of_another_program(plain):
        return None
    meant = _same_letters(plain) or _without_key(plain) or _closest(plain, SETTINGS, VERY_LIKE)
    meant = meant or LEGACY_NAMES.get(_closest(plain, LEGACY_NAMES, VERY_LIKE) or "")
    if meant is None and plain.partition("_")[0] in OURS:
        meant = _fewer_words(plain, 2)
    return None if meant in EVERYBODYS or environ.get(meant or "") else meant


def _known(name: str) -> bool:
    return name in SETTINGS or name in LEGACY_NAMES or name in WRITTEN


def _of_another_program(name: str) -> bool:
    """Whether `name` is that of a setting with another program's prefix, such as VITE_SUPABASE_URL."""
    return not name.startswith("PARLEY_") and name.endswith(tuple(f"_{one}" for one in (*SETTINGS, *LEGACY_NAMES)))


def _same_letters(name: str) -> str | None:
    """The setting that differs only in its underscores, or in the prefix PARLEY."""
    letters = name.replace("_", "")
    alike = (one for one in SETTINGS if letters.removeprefix("PARLEY") == one.replace("_", "").removeprefix("PARLEY"))
    return next((one for one in alike if letters.startswith("PARLEY") or not one.startswith("PARLEY")), None)


def _same_words(name: str) -> str | None:
    """The setting with the same words in another order."""
    words = sorted(name.split("_"))
    return next((one for one in SETTINGS if sorted(one.split("_")) == words), None)


def _without_key(name: str) -> str | None:
    """The setting that is `name` with `_KEY` at its end."""
    whole = f"{name}_KEY"
    return whole if whole in SETTINGS else LEGACY_NAMES.get(whole)


def _closest(name: str, names: Iterable[str], likeness: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=likeness)), None)


def _fewer_words(name: str, ends: int) -> str | None:
    """The closest setting that has all words of `name` (at least two) and more words. Its first word must be that of
    `name`; with 2 `ends`, its last word too."""
    words = name.split("_")
    longer = []
    for setting in SETTINGS:
        parts = setting.split("_")
        same_ends = parts[0] == words[0] and (ends == 1 or parts[-1] == words[-1])
        if len(words) > 1 and same_ends and {*words} < {*parts}:
            longer.append(setting)
    return next(iter(difflib.get_close_matches(name, longer, n=1, cutoff=0)), None)
