"""The command: reads the settings, runs all checks at the same time, prints the report and says how it went."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec

from app import observe
from app.check.findings import EXIT_CODES, Check, Finding, Report, carried_out, lines, report, skipped
from app.check.machine import machine_checks
from app.check.project import project_checks
from app.check.providers import provider_checks
from app.check.reading import PLACEHOLDERS, Read, read
from app.check.traces import traces
from app.errors import AppError, SupabaseRefused
from app.providers.factory import make_moderator, make_providers, warm
from app.retrieval.embedders import Embedders
from app.settings import settings_of_kind
from app.store.client import open_supabase
from app.store.project import Project

ENV_FILE = Path(".env")
SECONDS = 15.0
"""The time of each check. Realtime alone takes five seconds for its refusal of a stranger."""
EPILOG = """The settings come from the environment, as for `python -m app`, which this command does not start. It stores
and changes nothing, and prints no key. All checks run at the same time, each for at most --timeout seconds. The exit
code is 0 when all is well, 1 when a check has a warning, 2 when a check failed or an argument is wrong."""
MORE_SECRETS = ("REDIS_URL", "SUPABASE_JWT_SECRET", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY")


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        "python -m app check",
        description="Prove a configuration before it serves: settings, Supabase, Realtime, providers, this machine.",
        epilog=EPILOG,
    )
    whole.add_argument("--json", action="store_true", help="print one JSON object in place of lines")
    whole.add_argument(
        "--reply", action="store_true", help="also ask each provider for a short reply, which costs some tokens"
    )
    whole.add_argument(
        "--timeout", type=_seconds, default=SECONDS, metavar="SECONDS", help="of each check, 1 to 600 (default: 15)"
    )
    return whole


def main(arguments: Sequence[str]) -> int:
    """Run the command. Returns its exit code; argparse exits with 2."""
    asked = parser().parse_args(arguments)
    whole = asyncio.run(checked(os.environ, reply=asked.reply, seconds=asked.timeout))
    shown = [msgspec.json.encode(whole).decode()] if asked.json else lines(whole)
    try:
        print("\n".join(shown), flush=True)  # noqa: T201
    except BrokenPipeError:
        # the reader has closed the pipe (`… | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_CODES[whole.status]


async def checked(environ: Mapping[str, str], *, reply: bool, seconds: float) -> Report:
    """The report on the configuration in `environ`."""
    given = read(environ, ENV_FILE)
    secrets = [environ.get(name, "").strip() for name in (*settings_of_kind("key"), *MORE_SECRETS)]
    # the findings say what there is to say
    observe.configure("error", secrets)
    async with AsyncExitStack() as owned:
        checks = await _checks(given, environ, owned, reply=reply)
        found = await carried_out(checks, seconds)
    return report([*given.findings, *found], secrets)


async def _checks(given: Read, environ: Mapping[str, str], owned: AsyncExitStack, *, reply: bool) -> dict[str, Check]:
    """All checks by name. What they use is closed with `owned`."""
    settings = given.settings
    supabase = open_supabase(settings.supabase_url, settings.supabase_publishable_key, settings.supabase_secret_key)
    owned.push_async_callback(supabase.aclose)
    project = Project(
        supabase, publishable_key=settings.supabase_publishable_key, jwt_secret=settings.supabase_jwt_secret
    )
    providers = make_providers(settings.providers)
    for provider in providers.values():
        owned.push_async_callback(provider.aclose)
    embedders = Embedders(settings)
    owned.push_async_callback(embedders.aclose)
    moderator = make_moderator(settings.moderation, settings.providers)
    if moderator is not None:
        owned.push_async_callback(moderator.aclose)
    # the imports of the SDKs must not count towards the providers' times
    await warm(providers.values())
    checks = project_checks(settings, supabase, project, embedders)
    if wrong := [name for name in PLACEHOLDERS if name in given.wrong]:
        checks = dict.fromkeys(checks, partial(_skip, f"not checked: {' and '.join(wrong)} must be set right first"))
    elif not await _is_a_project(project):
        first, *others = checks
        why = "not checked: nothing at SUPABASE_URL looks like a Supabase project"
        checks = {first: checks[first]} | dict.fromkeys(others, partial(_skip, why))
    checks |= provider_checks(settings, providers, embedders, moderator, reply=reply)
    return checks | machine_checks(settings) | {"traces": partial(traces, environ)}


async def _is_a_project(project: Project) -> bool:
    """False where another server answers. The checks say themselves what is wrong with a project, and no answer."""
    try:
        await project.publishable_key_at_auth()
    except SupabaseRefused as error:
        return error.setting != "SUPABASE_URL"
    except AppError:
        pass
    return True


async def _skip(why: str) -> Finding:
    return skipped(why)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 600")
    return seconds
