"""`begin_title` and `finish_title`: one title at a time, charged once, never over a user's own."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, new_user, one, rpc
from tests.titles.conftest import give_plan

DEAR = {"provider": "p", "model": "dear", "known": True, "input": 9_000_000, "cached": 0, "output": 9_000_000}
CHEAP = {"provider": "p", "model": "cheap", "known": True, "input": 1_000_000, "cached": 0, "output": 2_000_000}
UNPRICED = {"provider": "p", "model": "unpriced", "known": True}


@pytest.fixture
def user(db: Connection) -> Caller:
    created = new_user(db)
    give_plan(db, created.id, premium=True, monthly_budget_micro_usd=1000)
    return created


@pytest.fixture
def conversation(db: Connection, user: Caller) -> UUID:
    conversation_id = new_conversation(db, user)
    db.execute("update public.conversations set title = null where id = %s", [conversation_id])
    return conversation_id


def begin(db: Connection, user: Caller, conversation: UUID, title_id: UUID, *models: dict[str, Any]) -> Any:
    with acting(db, SERVICE):
        return rpc(
            db,
            "begin_title",
            p_conversation_id=conversation,
            p_user_id=user.id,
            p_title_id=title_id,
            p_models=Jsonb(list(models or (DEAR, UNPRICED, CHEAP))),
            p_prompt_tokens=100,
            p_output_tokens=50,
        )


def finish(db: Connection, user: Caller, conversation: UUID, title_id: UUID, title: str | None) -> Any:
    call = {"kind": "title", "provider": "p", "model": "cheap", "prompt_tokens": 80, "completion_tokens": 5}
    with acting(db, SERVICE):
        return rpc(
            db,
            "finish_title",
            p_conversation_id=conversation,
            p_user_id=user.id,
            p_title_id=title_id,
            p_title=title,
            p_calls=Jsonb([{**call, "cached_tokens": 0, "cost_micro_usd": 90}]),
        )


def held(db: Connection, user: Caller) -> Any:
    return one(db, "select private.held_micro_usd(%s)", [user.id])


def test_cheapest_first_and_those_that_a_budget_needs_a_price_of(
    db: Connection, user: Caller, conversation: UUID
) -> None:
    begun = begin(db, user, conversation, uuid.uuid4())
    assert [model["model"] for model in begun["models"]] == ["cheap", "dear"]
    assert held(db, user) == 100 * 9 + 50 * 9


def test_one_at_a_time(db: Connection, user: Caller, conversation: UUID) -> None:
    """The same call once more is the same claim."""
    first = uuid.uuid4()
    begun = begin(db, user, conversation, first)
    assert begin(db, user, conversation, uuid.uuid4()) is None
    assert begin(db, user, conversation, first) == begun
    assert finish(db, user, conversation, first, "Tea") is True
    assert held(db, user) == 0
    assert begin(db, user, conversation, uuid.uuid4()) is None


def test_no_model_holds_nothing(db: Connection, user: Caller, conversation: UUID) -> None:
    assert begin(db, user, conversation, uuid.uuid4(), UNPRICED) == {"models": []}
    assert held(db, user) == 0


def test_never_over_another_title(db: Connection, user: Caller, conversation: UUID) -> None:
    title_id = uuid.uuid4()
    begin(db, user, conversation, title_id)
    with acting(db, user):
        db.execute("update public.conversations set title = 'Mine' where id = %s", [conversation])
    assert finish(db, user, conversation, title_id, "Tea") is False
    assert one(db, "select title from public.conversations where id = %s", [conversation]) == "Mine"


def test_repeated_end_charges_once(db: Connection, user: Caller, conversation: UUID) -> None:
    title_id = uuid.uuid4()
    begin(db, user, conversation, title_id)
    assert finish(db, user, conversation, title_id, "Tea") is True
    assert finish(db, user, conversation, title_id, "Tea") is False
    ledger = db.execute("select kind, cost_micro_usd from private.usage_ledger where user_id = %s", [user.id])
    assert ledger.fetchall() == [("title", 90)]


def test_another_users_conversation(db: Connection, user: Caller, conversation: UUID) -> None:
    other = new_user(db)
    give_plan(db, other.id, premium=True)
    assert begin(db, other, conversation, uuid.uuid4()) is None
    assert finish(db, other, conversation, uuid.uuid4(), "Theirs") is False


def test_budget_and_premium_are_required(db: Connection, user: Caller, conversation: UUID) -> None:
    give_plan(db, user.id, premium=True, monthly_budget_micro_usd=0)
    with pytest.raises(psycopg.Error, match="budget_exceeded"), db.transaction():
        begin(db, user, conversation, uuid.uuid4())
    db.execute("update private.settings set require_premium = true")
    give_plan(db, user.id, premium=False)
    with pytest.raises(psycopg.Error, match="premium_required"), db.transaction():
        begin(db, user, conversation, uuid.uuid4())


def test_process_that_dies_is_charged_for_its_call_and_the_next_may_begin(
    db: Connection, user: Caller, conversation: UUID
) -> None:
    title_id = uuid.uuid4()
    begin(db, user, conversation, title_id)
    db.execute("update private.reservations set expires_at = now() - interval '1 hour' where reply_id = %s", [title_id])
    with acting(db, SERVICE):
        rpc(db, "recover_replies")
    ledger = "select kind, model, prompt_tokens, cost_micro_usd from private.usage_ledger where user_id = %s"
    assert db.execute(ledger, [user.id]).fetchall() == [("title", "cheap", 100, 100)]
    assert held(db, user) == 0
    assert begin(db, user, conversation, uuid.uuid4()) is not None


@pytest.mark.parametrize("function", ["begin_title", "finish_title"])
def test_users_cannot_call_them(db: Connection, user: Caller, conversation: UUID, function: str) -> None:
    arguments = {
        "begin_title": {"p_models": Jsonb([]), "p_prompt_tokens": 1, "p_output_tokens": 1},
        "finish_title": {"p_title": "Mine", "p_calls": Jsonb([])},
    }[function]
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(db, user):
        rpc(
            db,
            function,
            p_conversation_id=conversation,
            p_user_id=user.id,
            p_title_id=uuid.uuid4(),
            **arguments,
        )
