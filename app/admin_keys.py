"""The operator's commands for users' personal keys: `python -m app.admin keys create|list|revoke`."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator

import msgspec

from app.admin_arguments import Parsers, add_command, key_id, key_name, moment
from app.personal_keys import make_key
from app.store.keys import Keys, StoredKey


def add_key_commands(commands: Parsers, epilog: str) -> None:
    does = "create, list or revoke the personal keys of a user"
    whole = commands.add_parser("keys", help=does, description=f"{does.capitalize()}.", epilog=epilog)
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")

    create = add_command(verbs, "create", "make a key for a user and print it, this once", epilog)
    create.add_argument("email")
    create.add_argument("--name", required=True, type=key_name, help="what the key is for, 1 to 100 characters")
    create.add_argument(
        "--until", type=moment, metavar="DATE", help="when the key ends, at most 366 days ahead; left out: never"
    )
    add_command(verbs, "list", "list the keys of a user, the newest first", epilog).add_argument("email")
    revoke = add_command(verbs, "revoke", "end a key for good; it stops working within 10 seconds", epilog)
    revoke.add_argument("id", type=key_id, help="the id of the key, as `list` prints it")


async def key_lines(asked: argparse.Namespace, keys: Keys) -> AsyncGenerator[str]:
    """The lines that the command prints."""
    match asked.verb:
        case "create":
            made = make_key()
            stored = await keys.create_for(asked.email, made, asked.name, asked.until)
            if asked.json:
                yield msgspec.json.encode(msgspec.structs.asdict(stored) | {"key": made.text}).decode()
            else:
                yield f"{made.text}\n{_described(stored)}"
        case "list":
            found = await keys.all_of(asked.email)
            for key in found:
                yield msgspec.json.encode(key).decode() if asked.json else _described(key)
            if not found and not asked.json:
                yield "no keys"
        case _:
            revoked = await keys.revoke_any(asked.id)
            yield msgspec.json.encode(revoked).decode() if asked.json else f"revoked: {_described(revoked)}"


def _described(key: StoredKey) -> str:
    until = "without end" if key.expires_at is None else f"until {key.expires_at}"
    used = "never used" if key.last_used_at is None else f"last used {key.last_used_at}"
    return f"{key.id}  {key.hint}…  {until}, {used}: {_printable(key.name)}"


def _printable(name: str) -> str:
    """A name that a user chose, on one line of the operator's terminal and without commands for it."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)
