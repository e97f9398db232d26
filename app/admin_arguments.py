"""Arguments of the operator's command line: what each may be, and what a wrong one is told."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias
from uuid import UUID

UNSET = ("default", "none")
MOST = 2**31 - 1
MOST_DOLLARS = 1_000_000_000
MOST_PRICE = 1_000_000
MOST_OF_ANY = 10**15
MOST_MODELS = 200
PLAN_CHARACTERS = 50
MODEL_CHARACTERS = 100
KEY_NAME_CHARACTERS = 100


Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # argparse has no public name for it


def add_command(parsers: Parsers, name: str, does: str, epilog: str) -> argparse.ArgumentParser:
    """A command that prints lines, or JSON for programs."""
    made = parsers.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", epilog=epilog)
    made.add_argument("--json", action="store_true", help="print one JSON object per line, for programs")
    return made


def provider_model(text: str) -> tuple[str, str]:
    provider, _, model = text.partition("/")
    if not provider or not model or max(len(provider), len(model)) > MODEL_CHARACTERS or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no model: write PROVIDER/MODEL, each 1 to {MODEL_CHARACTERS} printable characters"
        )
    return provider, model


def model_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(names) > MOST_MODELS or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of models: 1 to {MOST_MODELS} names, separated by commas, each MODEL, PROVIDER/MODEL "
            "or PROVIDER/*"
        )
    return names


def price_in_dollars(text: str) -> int:
    """Micro-dollars."""
    price = dollars(text)
    if isinstance(price, str) or price > MOST_PRICE * 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: dollars from 0 to {MOST_PRICE}")
    return price


def plan_name(text: str) -> str:
    if not 1 <= len(text) <= PLAN_CHARACTERS or not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a plan's name: 1 to {PLAN_CHARACTERS} printable characters, no blanks around them"
        )
    return text


def moment(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date: write 2027-01-31 or 2027-01-31T18:00+02:00"
        ) from None
    if given.tzinfo is None:
        given = given.replace(tzinfo=UTC)
    if given <= datetime.now(UTC):
        raise argparse.ArgumentTypeError(f"{text!r} is in the past: it means {given.isoformat()}")
    if given > datetime.max.replace(tzinfo=UTC):
        raise argparse.ArgumentTypeError(f"{text!r} is after the year 9999 in UTC: leave --until out for no end")
    return given


def count(text: str) -> int | str:
    if text in UNSET:
        return text
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a whole number from 1 to {MOST}, or default")
    return int(text)


def amount(text: str) -> int | str:
    if text in UNSET:
        return text
    if not (text.isascii() and text.isdecimal()) or int(text) > MOST_OF_ANY:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a whole number from 0 to {MOST_OF_ANY}, or default")
    return int(text)


def dollars(text: str) -> int | str:
    """Micro-dollars."""
    if text in UNSET:
        return text
    try:
        micro = Decimal(text) * 1_000_000
        if not 0 <= micro <= MOST_DOLLARS * 1_000_000 or micro != int(micro):
            raise ValueError
    except (InvalidOperation, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed: dollars from 0 to {MOST_DOLLARS} with at most 6 decimals, or none"
        ) from None
    return int(micro)


def key_name(text: str) -> str:
    if not 1 <= len(text) <= KEY_NAME_CHARACTERS or not text.isprintable() or not text.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a key's name: 1 to {KEY_NAME_CHARACTERS} printable characters, not only blanks"
        )
    return text


def key_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not the id of a key: `keys list` prints it") from None
