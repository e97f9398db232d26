"""The operator's command line: users' plans and keys, the plans' limits, and what is removed when it is old.
See `python -m app.admin --help`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from app.admin_arguments import (
    MOST,
    MOST_DOLLARS,
    MOST_OF_ANY,
    UNSET,
    add_command,
    amount,
    count,
    dollars,
    model_names,
    moment,
    plan_name,
    price_in_dollars,
    provider_model,
)
from app.admin_keys import add_key_commands, key_lines
from app.admin_retention import add_retire_command, retire_lines
from app.errors import AppError, SupabaseRefused, SupabaseUnavailable
from app.providers.registry import PROVIDERS
from app.settings import LEGACY_NAMES, SettingsError, base_url, where_looked, whose_address, with_running_stack
from app.store.client import open_supabase
from app.store.keys import Keys
from app.store.limits import Limits, LimitSettings, LimitsView, Plan
from app.store.plans import Entitled, Plans, UserView
from app.store.prices import ModelPrice, PlanModels, Prices
from app.store.retention import Retention

EPILOG = """The project is named by SUPABASE_URL and SUPABASE_SECRET_KEY in the environment; without them, it is the one
that `make run` has written to $PARLEY_DATA/env (.parley/env). Changes take effect with the next request. The exit code
is 0; 1 when the command was refused or the project cannot be reached; 2 when an argument is wrong."""
T = TypeVar("T")
CAPS = {
    "conversations": "conversations",
    "messages": "messages",
    "documents": "documents",
    "passages": "passages of documents",
    "document_bytes": "bytes of documents' text",
}
"""What a user of a plan may have at a time, as options and as columns (with `max_`)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, or prints one line about the error and returns 1. argparse exits with 2."""
    asked = parser().parse_args(arguments)
    try:
        url, key = project(os.environ)
        asyncio.run(show_lines(asked, url, key))
    except AppError as error:
        unreachable = isinstance(error, SupabaseUnavailable) and not isinstance(error, SupabaseRefused)
        more = f" ({whose_address()})" if unreachable else ""
        print(f"parley: {error}{more}", file=sys.stderr)  # noqa: T201
        return 1
    except (LookupError, SettingsError) as error:
        print(f"parley: {error.args[0]}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        "python -m app.admin", description="Plans, limits, keys and retention of Parley.", epilog=EPILOG
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        return add_command(commands, name, does, EPILOG)

    grant = command("grant", "give a user a plan, which replaces their present one")
    grant.add_argument("email")
    grant.add_argument("--plan", required=True, type=plan_name, help="a plan that `plans` lists")
    grant.add_argument(
        "--until",
        type=moment,
        metavar="DATE",
        help="when the plan ends, not in the past: 2027-01-31 (the start of that day), 2027-01-31T18:00 or "
        "2027-01-31T18:00+02:00; UTC unless it names a zone. Without this option the plan has no end",
    )

    revoke = command("revoke", "take a user's plan away")
    revoke.add_argument("email")

    show = command("show", "show a user's plan, limits and usage this month")
    show.add_argument("email")

    users = command("users", "list the users who have a plan, also those whose plan has expired")
    users.add_argument("--plan", type=plan_name, help="only the users of this plan")

    command("plans", "list all plans, with their limits and how many users have them")

    limits = command("limits", "show the limits of a plan, or, with an option, create or change it")
    limits.add_argument("plan", nargs="?", type=plan_name, help="without it, all plans are shown, as by `plans`")
    limits.add_argument("--requests", type=count, metavar="N", help=f"requests per minute, 1 to {MOST}, or `default`")
    limits.add_argument("--tokens", type=count, metavar="N", help=f"tokens per minute, 1 to {MOST}, or `default`")
    limits.add_argument(
        "--budget", type=dollars, metavar="USD", help=f"dollars per user and month, 0 to {MOST_DOLLARS}, or `none`"
    )
    for kind, what in CAPS.items():
        limits.add_argument(
            f"--{kind.replace('_', '-')}",
            type=amount,
            metavar="N",
            help=f"{what} of a user, 0 to {MOST_OF_ANY}, or `default`",
        )
    limits.add_argument(
        "--premium",
        action=argparse.BooleanOptionalAction,
        help="whether the plan may chat, search and add documents when premium is required; a new plan may",
    )

    delete = command("delete-plan", "delete a plan that no user has now")
    delete.add_argument("plan", type=plan_name)

    models = command("models", "show the models that may answer a plan's users, or, with an option, set them")
    models.add_argument("plan", type=plan_name)
    which = models.add_mutually_exclusive_group()
    which.add_argument(
        "--only", type=model_names, metavar="NAMES", help="e.g. `gpt-6-luna,openai/gpt-5-mini,ollama/*`, and no others"
    )
    which.add_argument(
        "--catalog",
        action="store_true",
        help="no list: the catalog's, those that a setting names, those with a price, and those of free providers",
    )

    price = command(
        "price", "show what models cost beside the catalog's prices, or, with an option, set or remove a price"
    )
    price.add_argument("model", nargs="?", type=provider_model, metavar="PROVIDER/MODEL", help="left out: all prices")
    for side, what in (("input", "of what is sent"), ("output", "of the reply"), ("cached", "read from a cache")):
        price.add_argument(f"--{side}", type=price_in_dollars, metavar="USD", help=f"a million tokens {what}")
    price.add_argument("--remove", action="store_true", help="the catalog's price counts again, or none")

    add_key_commands(commands, EPILOG)
    add_retire_command(commands, EPILOG)
    return whole


def project(environ: Mapping[str, str]) -> tuple[str, str]:
    """The address and the secret key of the project. Raises LookupError when one of them is not set, and SettingsError
    for an address that is not valid."""
    place = with_running_stack(environ)
    legacy = {new: place.get(old) for old, new in LEGACY_NAMES.items()}
    url, key = place.get("SUPABASE_URL"), place.get("SUPABASE_SECRET_KEY") or legacy["SUPABASE_SECRET_KEY"]
    if url and key:
        return base_url("SUPABASE_URL", url), key
    if url or key:
        given, missing = ("SUPABASE_URL", "SUPABASE_SECRET_KEY")[:: 1 if url else -1]
        raise LookupError(f"{given} is set, but {missing} is not ({where_looked(environ)})")
    raise LookupError(f"set SUPABASE_URL and SUPABASE_SECRET_KEY, or start `make run` ({where_looked(environ)})")


async def show_lines(asked: argparse.Namespace, url: str, key: str) -> None:
    """Run the command and print its lines as they come."""
    supabase = open_supabase(url, key, key)
    try:
        stores = Plans(supabase), Limits(supabase), Prices(supabase), Keys(supabase), Retention(supabase)
        async with aclosing(run(asked, *stores)) as lines:
            async for line in lines:
                print(line)  # noqa: T201
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader has closed the pipe (`… | head`); discard what is still in the buffer
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        await supabase.aclose()


async def run(
    asked: argparse.Namespace, plans: Plans, limits: Limits, prices: Prices, keys: Keys, retention: Retention
) -> AsyncGenerator[str]:
    """The lines that the command prints."""
    match asked.command:
        case "grant":
            yield told(asked, await plans.grant(asked.email, asked.plan, asked.until), describe)
        case "revoke":
            yield told(asked, await plans.revoke(asked.email), describe)
        case "show":
            yield told(asked, await plans.show(asked.email), describe)
        case "users":
            if asked.plan is not None:
                await limits.show(asked.plan)  # refuses a plan that does not exist
            none = True
            async for user in plans.users(asked.plan):
                none = False
                yield told(asked, user, describe_entitled)
            if none and not asked.json:
                yield "nobody"
        case "delete-plan":
            await plans.delete(asked.plan)
            yield told(asked, {"deleted": asked.plan}, lambda _: f"the plan {asked.plan} is deleted")
        case "models":
            found = await prices.plan_models(asked.plan, None if asked.catalog else asked.only or ())
            missing = without_price(found.models or (), await prices.all())
            yield told(asked, ShownModels(plan=found.plan, models=found.models, without_price=missing), describe_models)
        case "price":
            async for price in priced(asked, prices):
                yield told(asked, price, describe_price)
        case "keys":
            async for line in key_lines(asked, keys):
                yield line
        case "retire":
            async for line in retire_lines(asked, retention):
                yield line
        case "plans":
            yield told(asked, await limits.show(), describe_limits)
        case _:
            shown = await limits.show(asked.plan, changes(asked))
            if shown.made and not asked.json:
                yield f"the plan {asked.plan} is new"
            yield told(asked, shown, describe_limits)


class ShownModels(PlanModels, frozen=True, kw_only=True):
    """The models of a plan, and those of them that have no known price."""

    without_price: tuple[str, ...]


def without_price(names: Sequence[str], prices: Sequence[ModelPrice]) -> tuple[str, ...]:
    """Those of a plan's models that have neither a price of the operator's nor a published one. `PROVIDER/*` names no
    model; a model without its provider's name is looked for at the providers that publish prices."""
    priced = {(price.provider, price.model) for price in prices}
    for provider in PROVIDERS:
        priced |= {(provider.name, model.name) for model in provider.models if model.price is not None}
    found = {model for _, model in priced} | {f"{provider}/{model}" for provider, model in priced}
    free = tuple(f"{provider.name}/" for provider in PROVIDERS if provider.free)
    return tuple(name for name in names if not (name in found or name.endswith("/*") or name.startswith(free)))


async def priced(asked: argparse.Namespace, prices: Prices) -> AsyncGenerator[ModelPrice]:
    """The prices that the command shows, once it has set or removed one. LookupError for half a price."""
    named = {side: getattr(asked, side) for side in ("input", "cached", "output")}
    given = any(value is not None for value in named.values())
    if asked.model is None and (given or asked.remove):
        raise LookupError("name the model whose price this is, as PROVIDER/MODEL")
    if asked.remove:
        await prices.remove(*asked.model)
        return
    if given:
        if named["input"] is None or named["output"] is None:
            raise LookupError("a price has --input and --output")
        await prices.set(*asked.model, **named)
    for price in await prices.all():
        if asked.model in (None, (price.provider, price.model)):
            yield price


def told(asked: argparse.Namespace, what: T, describe: Callable[[T], str]) -> str:
    return msgspec.json.encode(what).decode() if asked.json else describe(what)


def changes(asked: argparse.Namespace) -> dict[str, int | bool | None]:
    """The columns of a plan that the command changes. Raises LookupError when the command names no plan."""
    named = {
        "requests_per_minute": asked.requests,
        "tokens_per_minute": asked.tokens,
        "monthly_budget_micro_usd": asked.budget,
        "premium": asked.premium,
        **{f"max_{kind}": getattr(asked, kind) for kind in CAPS},
    }
    given = {column: None if value in UNSET else value for column, value in named.items() if value is not None}
    if given and asked.plan is None:
        raise LookupError("name the plan to change")
    return given


def describe(user: UserView) -> str:
    if user.plan is None:
        plan = "no plan"
    elif user.valid_until is None:
        plan = f"{user.plan}, without end"
    else:
        plan = f"{user.plan}, {'expired' if is_past(user.valid_until) else 'until'} {user.valid_until}"
    limits, month = user.limits, user.month
    budget = "no budget" if limits.monthly_budget_micro_usd is None else usd(limits.monthly_budget_micro_usd)
    unpriced = f", {month.unpriced_replies} replies of unknown price" if month.unpriced_replies else ""
    return (
        f"{user.email}: {plan}\n"
        f"  may chat, search and add documents: {'yes' if limits.allowed else 'no'}\n"
        f"  a minute: {limits.requests_per_minute} requests, {limits.tokens_per_minute} tokens; a month: {budget}\n"
        f"  this month: {month.replies} replies, {month.tokens} tokens, {usd(month.cost_micro_usd)}{unpriced}"
    )


def is_past(moment: str) -> bool:
    """Whether this moment, in Postgres' text form, is in the past."""
    try:
        return datetime.fromisoformat(moment) <= datetime.now(UTC)
    except ValueError:  # a year after 9999 or before 1, `infinity`
        return moment.startswith("-") or moment.endswith("BC")


def describe_entitled(user: Entitled) -> str:
    until = (
        "without end" if user.valid_until is None else f"{'expired' if user.expired else 'until'} {user.valid_until}"
    )
    gone = "" if user.known else ", a plan that does not exist"
    return f"{user.email or user.user_id}: {user.plan}, {until}{gone}"


def describe_limits(limits: LimitsView) -> str:
    defaults = limits.settings
    lines = [
        f"{'plan':<20} {'premium':<8} {'requests':>10} {'tokens':>12} {'budget':>12} {'users':>8} {'expired':>8}",
        f"{'(default)':<20} {'':<8} {defaults.requests_per_minute:>10} {defaults.tokens_per_minute:>12} {'none':>12}",
        *(row(plan) for plan in limits.plans),
        *(f"{plan.plan}: {most}" for plan in limits.plans if (most := caps(plan))),
        f"premium is {'required' if defaults.require_premium else 'not required'}; by default {caps(defaults)}",
    ]
    return "\n".join(lines)


def row(plan: Plan) -> str:
    requests = "default" if plan.requests_per_minute is None else str(plan.requests_per_minute)
    tokens = "default" if plan.tokens_per_minute is None else str(plan.tokens_per_minute)
    budget = "none" if plan.monthly_budget_micro_usd is None else usd(plan.monthly_budget_micro_usd)
    return (
        f"{plan.plan:<20} {'yes' if plan.premium else 'no':<8} {requests:>10} {tokens:>12} {budget:>12} "
        f"{plan.users:>8} {plan.expired:>8}"
    )


def describe_models(shown: ShownModels) -> str:
    catalog = "the models of the catalog, those that a setting names, and those with a price"
    line = f"{shown.plan}: {catalog if shown.models is None else ', '.join(shown.models)}"
    if not shown.without_price:
        return line
    return (
        f"{line}\n  no known price: {', '.join(shown.without_price)}. Such a model is refused until it has one (`price "
        "PROVIDER/MODEL --input USD --output USD`), unless its provider costs nothing, or a setting names it and the "
        "plan has no budget"
    )


def describe_price(price: ModelPrice) -> str:
    return (
        f"{price.provider}/{price.model}: {usd(price.input)} in, {usd(price.cached)} cached, {usd(price.output)} out, "
        "a million tokens"
    )


def caps(limits: LimitSettings | Plan) -> str:
    """What a user may have at a time, as far as it is said here."""
    named = {kind: most for kind in CAPS if (most := getattr(limits, f"max_{kind}")) is not None}
    return "a user has at most " + ", ".join(f"{most} {CAPS[kind]}" for kind, most in named.items()) if named else ""


def usd(micro: int) -> str:
    return f"${micro / 1_000_000:,.2f}"


if __name__ == "__main__":
    sys.exit(main())
