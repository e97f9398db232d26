"""Misspelt settings: names in `.env` and in the environment that Parley does not know, but nearly does.

`.env` is written for Parley, so that a name there is judged by its likeness alone. The environment is everybody's: a
name there has to be a setting with a slip in it, and the setting itself must be missing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from app.providers.registry import PROVIDERS
from app.settings import FIELDS, LEGACY_NAMES

RUN_SETTINGS = ("PARLEY_SUPABASE_PORT", "PARLEY_DB_PORT", "PARLEY_DATA", "PARLEY_REPLICAS")
"""What `make run` reads besides."""
COMMAND_SETTINGS = ("PARLEY_TOKEN", "PARLEY_EMAIL", "PARLEY_PASSWORD")
"""What `app.retrieval.ingest` reads besides."""
SETTINGS = (*FIELDS, *PROVIDERS.settings, *RUN_SETTINGS, *COMMAND_SETTINGS)
WRITTEN = ("API_URL", "API_URL_2", "DATABASE_URL", "DEMO_EMAIL", "DEMO_PASSWORD")
"""What `make run` writes besides; whoever loads its file has it in the environment."""

ALIASES = {
    **{alias: setting.name for setting in PROVIDERS.settings.values() for alias in setting.aliases},
    "ALLOWED_ORIGINS": "CORS_ALLOW_ORIGINS",
    "CORS_ORIGINS": "CORS_ALLOW_ORIGINS",
    "PARLEY_DATABASE_PORT": "PARLEY_DB_PORT",
    "PREMIUM_REQUIRED": "REQUIRE_PREMIUM",
    "RAG_ENABLED": "ENABLE_RAG",
    "SUPABASE_API_KEY": "SUPABASE_PUBLISHABLE_KEY",
}
"""Names of other programs for our settings: mistakes in `.env`, and theirs in the environment."""
OTHER_NAMES = {**LEGACY_NAMES, **ALIASES}
"""All of them: a slip in such a name is one, too."""
FOREIGN = frozenset({"SUPABASE_DB_URL"})
"""The Supabase CLI's."""
EVERYBODYS = frozenset({"LOG_LEVEL", "REDIS_URL"})
"""Settings with so common a name that one like it in the environment is another program's."""
OURS = frozenset({"PARLEY", "SUPABASE", *(name.partition("_")[0] for name in PROVIDERS.settings)})
"""First words of a name that say what it is for."""

LIKE, VERY_LIKE = 0.8, 0.9
"""Ratios of `difflib`, in `.env` and in the environment. A name of twelve letters with two of them swapped has 0.92."""


def misspelt(environ: Mapping[str, str], in_file: Iterable[str] = ()) -> list[str]:
    """A line for each name that is probably meant for Parley; `in_file` are those of `.env`. No line holds a value."""
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
    """Whether it is the name of a setting behind another program's prefix, such as VITE_SUPABASE_URL."""
    return not name.startswith("PARLEY_") and name.endswith(tuple(f"_{one}" for one in (*SETTINGS, *LEGACY_NAMES)))


def _same_letters(name: str) -> str | None:
    """The setting that only differs in where its words end, or by our prefix."""
    letters = name.replace("_", "")
    alike = (one for one in SETTINGS if letters.removeprefix("PARLEY") == one.replace("_", "").removeprefix("PARLEY"))
    return next((one for one in alike if letters.startswith("PARLEY") or not one.startswith("PARLEY")), None)


def _same_words(name: str) -> str | None:
    """The setting whose words only stand in another order."""
    words = sorted(name.split("_"))
    return next((one for one in SETTINGS if sorted(one.split("_")) == words), None)


def _without_key(name: str) -> str | None:
    """The setting whose last word, KEY, is missing."""
    whole = f"{name}_KEY"
    return whole if whole in SETTINGS else LEGACY_NAMES.get(whole)


def _closest(name: str, names: Iterable[str], likeness: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=likeness)), None)


def _fewer_words(name: str, ends: int) -> str | None:
    """The closest setting that has all words of the name, two or more, and others as well; with 2 `ends` its first and
    its last word are the name's, with 1 the first."""
    words = name.split("_")
    longer = []
    for setting in SETTINGS:
        parts = setting.split("_")
        same_ends = parts[0] == words[0] and (ends == 1 or parts[-1] == words[-1])
        if len(words) > 1 and same_ends and {*words} < {*parts}:
            longer.append(setting)
    return next(iter(difflib.get_close_matches(name, longer, n=1, cutoff=0)), None)
