"""Arguments that say how many or from where: any number has an answer, or an error that names it."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation
from tests.support.turn_functions import answered

LARGEST = 2**31 - 1
VECTOR = str([1.0] * 1536)
CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("admin_users", "p_limit"): {},
    ("claim_index_jobs", "p_limit"): {"p_worker": uuid.UUID(int=1), "p_embedding_model": "local"},
    ("index_passages", "p_limit"): {
        "p_worker": uuid.UUID(int=1),
        "p_document_id": uuid.UUID(int=2),
        "p_revision": 1,
        "p_embedding_model": "local",
        "p_vectors": Jsonb([]),
    },
    ("match_embeddings", "match_count"): {"query_embedding": VECTOR},
    ("passages_to_reembed", "p_limit"): {"p_model": "local"},
    ("read_branch", "p_limit"): {"p_conversation_id": uuid.UUID(int=3)},
    ("read_chat", "p_limit"): {"p_chat_id": "chat"},
    ("read_reply", "p_after"): {"p_message_id": uuid.UUID(int=4)},
    ("read_reply", "p_reasoned"): {"p_message_id": uuid.UUID(int=4), "p_after": 0},
    ("search_conversations", "match_count"): {"query": "tea"},
    ("search_documents", "p_count"): {
        "p_text": "tea",
        "p_embedding": VECTOR,
        "p_threshold": 0.5,
        "p_filter": Jsonb({}),
        "p_model": "local",
        "p_hybrid": False,
    },
    ("search_documents_v2", "p_count"): {
        "p_text": "tea",
        "p_questions": Jsonb([]),
        "p_filter": Jsonb({}),
        "p_hybrid": False,
    },
    ("search_passages", "match_count"): {"query_text": "tea", "query_embedding": VECTOR},
}
OF_THE_SERVICE = {"admin_users", "claim_index_jobs", "index_passages", "passages_to_reembed"}


def test_all_of_them_are_here(db: Connection) -> None:
    found = db.execute(
        "select p.proname, a.name from pg_catalog.pg_proc as p, "
        "unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]) as a (name, type) "
        "where p.pronamespace = 'public'::regnamespace and a.type = 'integer'::regtype "
        r"and a.name ~ '_(limit|count|offset|after|reasoned)$' and p.prorettype <> 'trigger'::regtype"
    )
    assert {(function, argument) for function, argument in found.fetchall()} == set(CALLS)


@pytest.mark.parametrize("number", [-LARGEST - 1, -1, 0, LARGEST, None])
@pytest.mark.parametrize(("function", "argument"), CALLS, ids=" ".join)
def test_any_number(db: Connection, owner: Caller, function: str, argument: str, number: int | None) -> None:
    arguments = CALLS[function, argument] | {argument: number}
    if function == "read_reply":
        begun = answered(db, owner, new_conversation(db, owner), "one", "first")
        arguments |= {"p_message_id": begun["message"]["id"]}
    refused = refusal(db, SERVICE if function in OF_THE_SERVICE else owner, function, arguments)
    if refused is not None:
        said = f"{refused.diag.message_primary} {refused.diag.message_detail}"
        assert refused.sqlstate in ("PT422", "22023"), said
        # those of the service say it as match_embeddings does
        assert argument in said or "match_count" in said


def refusal(db: Connection, caller: Caller, function: str, arguments: dict[str, Any]) -> psycopg.DatabaseError | None:
    """The error of a call; None when it has an answer."""
    named = [sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in arguments]
    query = sql.SQL("select * from public.{}({})").format(sql.Identifier(function), sql.SQL(", ").join(named))
    try:
        with acting(db, caller):
            db.execute(query, arguments)
    except psycopg.DatabaseError as error:
        return error
    return None
