"""What costs money is charged in the database, so that a token and the Data API are no way around plan and limits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.callers import Caller, Connection, acting, new_conversation, one, rpc
from tests.support.turn_functions import regenerate, send

Call = Callable[[Connection, Caller], Any]


def begin_turn(db: Connection, user: Caller) -> Any:
    return send(db, user, new_conversation(db, user))


def create_document(db: Connection, user: Caller, **changes: object) -> Any:
    passages = Jsonb([{"content": "a passage"}])
    arguments = {"p_title": "a", "p_passages": passages, "p_content_hash": uuid.uuid4().hex, **changes}
    with acting(db, user):
        return rpc(db, "create_document", **arguments)


every_charge = pytest.mark.parametrize("call", [begin_turn, create_document], ids=lambda call: call.__name__)


def limit(db: Connection, *, premium: bool = False, requests: int = 1000) -> None:
    """The limits of everybody, until the test is over."""
    db.execute("update private.settings set require_premium = %s, requests_per_minute = %s", [premium, requests])


def refused(db: Connection, user: Caller, call: Call) -> str | None:
    with pytest.raises(psycopg.DatabaseError) as error:
        call(db, user)
    return error.value.sqlstate


@every_charge
def test_needs_a_premium_plan(db: Connection, owner: Caller, call: Call) -> None:
    limit(db, premium=True)
    assert refused(db, owner, call) == "PT403"
    for table in ("messages", "documents"):
        assert one(db, f"select count(*) from public.{table} where user_id = %s", [owner.id]) == 0
    db.execute("insert into public.entitlements (user_id, plan) values (%s, 'premium')", [owner.id])
    call(db, owner)


@every_charge
def test_is_limited(db: Connection, owner: Caller, stranger: Caller, call: Call) -> None:
    limit(db, requests=1)
    call(db, owner)
    assert refused(db, owner, call) == "PT429"
    call(db, stranger)


@pytest.mark.parametrize("claim", ["app_metadata", "user_metadata", "plan"])
def test_no_claim_of_the_token_is_a_plan(db: Connection, owner: Caller, claim: str) -> None:
    limit(db, premium=True)
    plan = {"plan": "premium", "premium": True}
    claims = {"role": "authenticated", "sub": str(owner.id), claim: "premium" if claim == "plan" else plan}
    arguments = {"p_writer": uuid.uuid4(), "p_conversation_id": new_conversation(db, owner), "p_content": "Hello"}
    with acting(db, owner):
        db.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        with pytest.raises(psycopg.DatabaseError, match="premium_required"), db.transaction():
            rpc(db, "begin_turn", **arguments)


def test_deleting_gives_nothing_back(db: Connection, owner: Caller) -> None:
    limit(db, requests=2)
    begin_turn(db, owner)
    create_document(db, owner)
    create_document(db, owner)
    begin_turn(db, owner)
    with acting(db, owner):
        db.execute("delete from public.conversations")
        db.execute("delete from public.documents")
    assert refused(db, owner, begin_turn) == "PT429"
    assert refused(db, owner, create_document) == "PT429"


def test_every_way_to_a_reply_is_charged(db: Connection, owner: Caller) -> None:
    limit(db, requests=1)
    begun = begin_turn(db, owner)
    db.execute("update public.messages set status = 'complete' where id = %s", [begun["message"]["id"]])
    assert refused(db, owner, lambda db, user: regenerate(db, user, begun["message"]["id"])) == "PT429"


def test_every_way_to_an_index_is_charged(db: Connection, owner: Caller) -> None:
    """A replacement is indexed like a new document."""
    limit(db, requests=1)
    document = create_document(db, owner)["document"]["id"]

    def replace(db: Connection, user: Caller) -> Any:
        return create_document(db, user, p_document_id=document)

    assert refused(db, owner, replace) == "PT429"
