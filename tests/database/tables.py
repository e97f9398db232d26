"""The tables of `public`, their policies, and a row of each to try them on."""

from __future__ import annotations

from typing import Literal, NamedTuple
from uuid import UUID

from tests.support.callers import Caller, Connection, new_conversation, one, vector

Command = Literal["select", "insert", "update", "delete"]
Rule = Literal["own", "none"]


class Policy(NamedTuple):
    """One policy as it is meant: a user may run `command` on their own rows of `table`, or on none."""

    table: str
    command: Command
    rule: Rule
    name: str


POLICIES = (
    Policy("conversations", "select", "own", "Owners read their conversations"),
    Policy("conversations", "insert", "own", "Users create conversations of their own"),
    Policy("conversations", "update", "own", "Owners rename their conversations"),
    Policy("conversations", "delete", "own", "Owners delete their conversations"),
    Policy("messages", "select", "own", "Owners read their messages"),
    Policy("messages", "insert", "none", "Nobody inserts messages directly"),
    Policy("messages", "update", "none", "Nobody updates messages directly"),
    Policy("messages", "delete", "none", "Nobody deletes single messages"),
    Policy("documents", "select", "own", "Owners read their documents"),
    Policy("documents", "insert", "none", "Nobody inserts documents directly"),
    Policy("documents", "update", "none", "Nobody updates documents directly"),
    Policy("documents", "delete", "own", "Owners delete their documents"),
    Policy("embeddings", "select", "own", "Owners read their passages"),
    Policy("embeddings", "insert", "none", "Nobody inserts passages directly"),
    Policy("embeddings", "update", "none", "Nobody updates passages directly"),
    Policy("embeddings", "delete", "none", "Nobody deletes passages directly"),
    Policy("entitlements", "select", "own", "Users read their own entitlement"),
    Policy("entitlements", "insert", "none", "Nobody grants entitlements directly"),
    Policy("entitlements", "update", "none", "Nobody changes entitlements directly"),
    Policy("entitlements", "delete", "none", "Nobody deletes entitlements directly"),
    Policy("user_settings", "select", "own", "Users read their settings"),
    Policy("user_settings", "insert", "own", "Users make settings of their own"),
    Policy("user_settings", "update", "own", "Users change their settings"),
    Policy("user_settings", "delete", "own", "Users delete their settings"),
)

COMMANDS: tuple[Command, ...] = ("select", "insert", "update", "delete")
TABLES = tuple(dict.fromkeys(policy.table for policy in POLICIES))

# A column to read, and a harmless change, of each table.
KEYS = dict.fromkeys(TABLES, "id") | {"entitlements": "user_id", "user_settings": "user_id"}
# Of these a user has one row at most.
ONE_A_USER = ("entitlements", "user_settings")
CHANGES = {
    "conversations": "title = 'after'",
    "messages": "content = 'after'",
    "documents": "title = 'after'",
    "embeddings": "content = 'after'",
    "entitlements": "plan = 'after'",
    "user_settings": "instructions = 'after'",
}

# A valid new row of the user %(user)s, who has the conversation and the document.
NEW_ROWS = {
    "conversations": "insert into public.conversations (user_id, title) values (%(user)s, 'new')",
    "messages": """
        insert into public.messages (conversation_id, user_id, role, content)
        values (%(conversations)s, %(user)s, 'assistant', 'new')""",
    "documents": "insert into public.documents (user_id, title) values (%(user)s, 'new')",
    "embeddings": """
        insert into public.embeddings (document_id, user_id, passage, content, embedding, embedding_model)
        values (%(documents)s, %(user)s, 1, 'new', %(vector)s, 'new')""",
    "entitlements": "insert into public.entitlements (user_id, plan) values (%(user)s, 'new')",
    "user_settings": "insert into public.user_settings (user_id, instructions) values (%(user)s, 'new')",
}


class Rows(NamedTuple):
    """A user and the key of their one row in each table."""

    user: Caller
    keys: dict[str, UUID]

    @property
    def values(self) -> dict[str, object]:
        """The parameters of `NEW_ROWS`."""
        return {**self.keys, "user": self.user.id, "vector": vector(1)}


def plant(db: Connection, user: Caller) -> Rows:
    """Give the user one row in every table."""
    conversation = new_conversation(db, user)
    message = one(
        db,
        "insert into public.messages (conversation_id, user_id, role, content) values (%s, %s, 'user', 'before') "
        "returning id",
        [conversation, user.id],
    )
    document = one(db, "insert into public.documents (user_id, title) values (%s, 'before') returning id", [user.id])
    passage = one(
        db,
        "insert into public.embeddings (document_id, user_id, passage, content, embedding, embedding_model) "
        "values (%s, %s, 0, 'before', %s, 'model') returning id",
        [document, user.id, vector(1)],
    )
    plan = one(db, "insert into public.entitlements (user_id, plan) values (%s, 'before') returning user_id", [user.id])
    settings = one(
        db,
        "insert into public.user_settings (user_id, instructions) values (%s, 'before') returning user_id",
        [user.id],
    )
    keys = dict(zip(TABLES, (conversation, message, document, passage, plan, settings), strict=True))
    return Rows(user, keys)


def make_room(db: Connection, user: Caller) -> None:
    """Delete the user's rows in the tables in which they have one at most."""
    for table in ONE_A_USER:
        db.execute(f"delete from public.{table} where user_id = %s", [user.id])
