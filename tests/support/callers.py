"""Callers of the database, of each kind, and the rows that they own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql

Role = Literal["anon", "authenticated", "service_role"]
Connection = psycopg.Connection[tuple[Any, ...]]

DIMENSIONS = 1536


@dataclass(frozen=True)
class Caller:
    """Whom the Data API makes of a request: a role and, for a user's token, its `sub`."""

    role: Role
    id: UUID | None = None

    def enter(self, db: Connection, *, local: bool) -> None:
        """Make the connection this caller, until the transaction ends or for good."""
        claims = {"role": self.role} if self.id is None else {"role": self.role, "sub": str(self.id)}
        db.execute(
            "select set_config('role', %s, %s), set_config('request.jwt.claims', %s, %s)",
            [self.role, local, json.dumps(claims), local],
        )


ANON = Caller("anon")
SERVICE = Caller("service_role")
# a token of a signed-in role that names no user
NOBODY = Caller("authenticated")


@contextmanager
def acting(db: Connection, caller: Caller) -> Generator[Connection]:
    """Inside the block the connection is `caller`; then the owner of the database again. An error undoes the block."""
    with db.transaction():
        caller.enter(db, local=True)
        yield db
        db.execute("select set_config('role', 'postgres', true), set_config('request.jwt.claims', '', true)")


def rpc(db: Connection, function: str, **arguments: object) -> Any:
    """Call a function of `public` by named arguments; the one value it returns."""
    named = [sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in arguments]
    query = sql.SQL("select public.{}({})").format(sql.Identifier(function), sql.SQL(", ").join(named))
    return one(db, query, arguments)


def one(db: Connection, query: Any, parameters: Any = None) -> Any:
    """The first column of the only row, which must exist."""
    rows = db.execute(query, parameters).fetchall()
    assert len(rows) == 1, f"{len(rows)} rows"
    return rows[0][0]


def new_user(db: Connection) -> Caller:
    """A user who has signed up and has nothing yet."""
    user_id = uuid.uuid4()
    db.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, f"{user_id}@parley.example"])
    return Caller("authenticated", user_id)


def new_conversation(db: Connection, user: Caller, *, model: str | None = None) -> UUID:
    conversation_id: UUID = one(
        db,
        "insert into public.conversations (user_id, title, model) values (%s, 'before', %s) returning id",
        [user.id, model],
    )
    return conversation_id


def vector(*head: float) -> str:
    """A vector in Postgres' notation: these components, then zeros."""
    return json.dumps([*head, *[0] * (DIMENSIONS - len(head))])
