"""The operator's command line: who has which plan, and what a plan allows. See `python -m app.admin --help`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from app.errors import AppError
from app.settings import LEGACY_NAMES, running_stack
from app.store.client import open_supabase
from app.store.limits import Limits, LimitsView, Plan
from app.store.plans import Plans, UserView

EPILOG = """The project is that of SUPABASE_URL and SUPABASE_SECRET_KEY in the environment; without them, the one that
`make run` has written to $PARLEY_DATA/env (.parley/env). Everything takes effect with the next request."""
UNSET = ("default", "none")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0, or 1 with one line that says what is wrong."""
    asked = parser().parse_args(arguments)
    try:
        url, key = project(os.environ)
        print(asyncio.run(run(asked, url, key)))  # noqa: T201
    except AppError as error:
        print(f"parley: {error.detail or error.title}", file=sys.stderr)  # noqa: T201
        return 1
    except LookupError as error:
        print(f"parley: {error.args[0]}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser("python -m app.admin", description="Plans and limits of Parley.", epilog=EPILOG)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    grant = commands.add_parser("grant", help="give a user a plan", epilog=EPILOG)
    grant.add_argument("email")
    grant.add_argument("--plan", required=True, help="free, premium, or one that `limits` has made")
    grant.add_argument("--until", type=moment, metavar="DATE", help="2027-01-31, or with a time; UTC unless it says so")

    revoke = commands.add_parser("revoke", help="take a user's plan away", epilog=EPILOG)
    revoke.add_argument("email")

    show = commands.add_parser("show", help="a user's plan, limits and usage this month", epilog=EPILOG)
    show.add_argument("email")

    limits = commands.add_parser("limits", help="the limits of all plans, or make or change one", epilog=EPILOG)
    limits.add_argument("plan", nargs="?")
    limits.add_argument("--requests", type=count, metavar="N", help="requests a minute, or `default`")
    limits.add_argument("--tokens", type=count, metavar="N", help="tokens a minute, or `default`")
    limits.add_argument("--budget", type=dollars, metavar="USD", help="a user's dollars a month, or `none`")
    limits.add_argument("--premium", action=argparse.BooleanOptionalAction, help="whether it opens what is gated")
    return whole


def project(environ: Mapping[str, str]) -> tuple[str, str]:
    """The address and the secret key of the project. LookupError when nothing names one."""
    for place in (environ, running_stack(environ)):
        url = place.get("SUPABASE_URL")
        legacy = {new: place.get(old) for old, new in LEGACY_NAMES.items()}
        key = place.get("SUPABASE_SECRET_KEY") or legacy["SUPABASE_SECRET_KEY"]
        if url and key:
            return url, key
    raise LookupError("set SUPABASE_URL and SUPABASE_SECRET_KEY, or start `make run`")


async def run(asked: argparse.Namespace, url: str, key: str) -> str:
    """What the command prints."""
    supabase = open_supabase(url, key, key)
    plans = Plans(supabase)
    try:
        match asked.command:
            case "grant":
                return describe(await plans.grant(asked.email, asked.plan, asked.until))
            case "revoke":
                return describe(await plans.revoke(asked.email))
            case "show":
                return describe(await plans.show(asked.email))
            case _:
                return describe_limits(await Limits(supabase).show(asked.plan, changes(asked)))
    finally:
        await supabase.aclose()


def changes(asked: argparse.Namespace) -> dict[str, int | bool | None]:
    """The columns of a plan that the command names. LookupError when there is no plan to change."""
    named = {
        "requests_per_minute": asked.requests,
        "tokens_per_minute": asked.tokens,
        "monthly_budget_micro_usd": asked.budget,
        "premium": asked.premium,
    }
    given = {column: None if value in UNSET else value for column, value in named.items() if value is not None}
    if given and asked.plan is None:
        raise LookupError("name the plan whose limits these are")
    return given


def describe(user: UserView) -> str:
    if user.plan is None:
        plan = "no plan"
    else:
        plan = f"{user.plan}, {'until ' + user.valid_until if user.valid_until else 'without end'}"
    limits, month = user.limits, user.month
    budget = "no budget" if limits.monthly_budget_micro_usd is None else usd(limits.monthly_budget_micro_usd)
    unpriced = f", {month.unpriced_replies} replies of unknown price" if month.unpriced_replies else ""
    return (
        f"{user.email}: {plan}\n"
        f"  may chat, search and add documents: {'yes' if limits.allowed else 'no'}\n"
        f"  a minute: {limits.requests_per_minute} requests, {limits.tokens_per_minute} tokens; a month: {budget}\n"
        f"  this month: {month.replies} replies, {month.tokens} tokens, {usd(month.cost_micro_usd)}{unpriced}"
    )


def describe_limits(limits: LimitsView) -> str:
    defaults = limits.settings
    lines = [
        f"{'plan':<20} {'premium':<8} {'requests':>10} {'tokens':>12} {'budget':>12}",
        f"{'(default)':<20} {'':<8} {defaults.requests_per_minute:>10} {defaults.tokens_per_minute:>12} {'none':>12}",
        *(row(plan) for plan in limits.plans),
        f"premium is {'required' if defaults.require_premium else 'not required'}",
    ]
    return "\n".join(lines)


def row(plan: Plan) -> str:
    requests = "default" if plan.requests_per_minute is None else str(plan.requests_per_minute)
    tokens = "default" if plan.tokens_per_minute is None else str(plan.tokens_per_minute)
    budget = "none" if plan.monthly_budget_micro_usd is None else usd(plan.monthly_budget_micro_usd)
    return f"{plan.plan:<20} {'yes' if plan.premium else 'no':<8} {requests:>10} {tokens:>12} {budget:>12}"


def usd(micro: int) -> str:
    return f"${micro / 1_000_000:,.2f}"


def moment(text: str) -> datetime:
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def count(text: str) -> int | str:
    return text if text in UNSET else int(text)


def dollars(text: str) -> int | str:
    """Micro-dollars."""
    try:
        return text if text in UNSET else int(Decimal(text) * 1_000_000)
    except (InvalidOperation, OverflowError) as error:  # no number, or infinite
        raise ValueError(text) from error


if __name__ == "__main__":
    sys.exit(main())
