"""Tokens a minute and the budget of a month: held before, settled after, and gone with time alone."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.guard.plans import entitle, new_plan
from tests.support.callers import Caller, Connection, acting, new_user, one, rpc
from tests.support.turn_functions import Answer, expire, final, finish, journal, piece, recover, regenerate, send


def held(db: Connection, user: Caller) -> int:
    tokens: int = one(
        db, "select coalesce(sum(tokens), 0)::integer from private.reservations where user_id = %s", [user.id]
    )
    return tokens


def used(db: Connection, user: Caller) -> int:
    tokens: int = one(
        db, "select coalesce(sum(tokens), 0)::integer from private.usage_ledger where user_id = %s", [user.id]
    )
    return tokens


def refused(db: Connection, user: Caller, conversation: UUID, content: str = "Hello", **arguments: Any) -> Any:
    """The error of a send: (SQLSTATE, code, hint)."""
    with pytest.raises(psycopg.DatabaseError) as error:
        send(db, user, conversation, content, **arguments)
    return error.value.sqlstate, error.value.diag.message_primary, json.loads(error.value.diag.message_hint or "null")


def finished(begun: Answer, prompt: int, completion: int, **fields: Any) -> Answer:
    return final(begun["message"]["id"], "Hi", prompt_tokens=prompt, completion_tokens=completion, **fields)


def age(db: Connection, user: Caller, interval: str) -> None:
    """Let what was used be so much older."""
    db.execute(
        "update private.usage_ledger set created_at = created_at - %s::interval where user_id = %s", [interval, user.id]
    )


@pytest.fixture
def tight(db: Connection, user: Caller) -> Caller:
    """A user with 1,000 tokens a minute."""
    entitle(db, user.id, new_plan(db, tokens_per_minute=1000, requests_per_minute=1_000_000))
    return user


def test_input_and_all_the_reply_may_have_are_held(db: Connection, user: Caller, conversation: UUID) -> None:
    send(db, user, conversation, "x" * 400, p_max_tokens=500)
    assert held(db, user) == 100 + 500
    send(db, user, conversation, "€" * 4)
    # history counts too, that is nothing yet but the first message; nobody said how long the reply may get
    assert held(db, user) == 600 + (3 + 100) + 1024


def test_a_caller_cannot_make_it_less(db: Connection, user: Caller, conversation: UUID) -> None:
    for less in (0, -1, -(2**31)):
        before = held(db, user)
        send(db, user, conversation, "Hello", p_max_tokens=less)
        assert held(db, user) > before


def test_reserve_is_settled_to_what_was_used(db: Connection, user: Caller, conversation: UUID) -> None:
    begun = send(db, user, conversation, p_max_tokens=500)
    finish(db, finished(begun, 7, 30))
    assert (held(db, user), used(db, user)) == (0, 37)
    finish(db, finished(begun, 7, 30))
    assert (held(db, user), used(db, user)) == (0, 37)


def test_refused_until_enough_is_a_minute_old(db: Connection, tight: Caller, conversation: UUID) -> None:
    for completion in (298, 498):
        finish(db, finished(send(db, tight, conversation, p_max_tokens=2), 2, completion))
        age(db, tight, "20 seconds")
    assert used(db, tight) == 800
    # 100 more than there are: the 300 of 40 seconds ago have to go
    state, code, hint = refused(db, tight, conversation, p_max_tokens=290)
    assert (state, code) == ("PT429", "rate_limited")
    assert (hint["policy"], hint["limit"]) == ("tokens", 1000)
    assert 18 <= hint["retry_after"] <= 20
    age(db, tight, f"{hint['retry_after'] - 2} seconds")
    refused(db, tight, conversation, p_max_tokens=290)
    age(db, tight, "2 seconds")
    send(db, tight, conversation, p_max_tokens=290)


def test_refused_while_it_is_held(db: Connection, tight: Caller, conversation: UUID) -> None:
    begun = send(db, tight, conversation, p_max_tokens=900)
    requests = one(db, "select full_at from private.meters where user_id = %s", [tight.id])
    state, _, hint = refused(db, tight, conversation, p_max_tokens=200)
    assert (state, hint) == ("PT429", {"policy": "tokens", "limit": 1000, "retry_after": 5})
    # a refusal costs nothing
    assert one(db, "select full_at from private.meters where user_id = %s", [tight.id]) == requests
    finish(db, finished(begun, 2, 3))
    send(db, tight, conversation, p_max_tokens=200)


def test_what_no_waiting_helps(db: Connection, tight: Caller, conversation: UUID) -> None:
    assert refused(db, tight, conversation, "x" * 4004)[:2] == ("PT413", "payload_too_large")
    assert refused(db, tight, conversation, p_max_tokens=999)[:2] == ("PT422", "invalid_request")
    assert refused(db, tight, conversation, p_max_tokens=2**31 - 1)[:2] == ("PT422", "invalid_request")
    send(db, tight, conversation, p_max_tokens=998)


def test_history_gives_way_to_the_limit(db: Connection, tight: Caller, conversation: UUID) -> None:
    """Or a long conversation could never go on."""
    for number in range(6):
        finish(db, final(send(db, tight, conversation, f"{number}" * 800)["message"]["id"], "Hi"))
        age(db, tight, "2 minutes")
    begun = send(db, tight, conversation, "x" * 800, p_max_tokens=100)
    # 200 asked, 100 to be written: three times 200 and the short replies fit, four do not
    asked = [message["content"][0] for message in begun["history"] if message["role"] == "user"]
    assert asked == ["3", "4", "5"]
    assert held(db, tight) <= 1000


def test_crash_returns_the_reserve_and_charges_what_was_shown(db: Connection, user: Caller, conversation: UUID) -> None:
    silent, begun = send(db, user, conversation), send(db, user, conversation, "x" * 40)
    journal(db, piece(begun["message"]["id"], 1, "Half a reply"))
    for turn in (silent, begun):
        expire(db, turn["message"]["id"])
    recover(db)
    assert held(db, user) == 0
    # 10 tokens asked after 2 of history, 3 answered
    assert used(db, user) == 2 + 10 + 3
    # the writer was only cut off: the difference is entered
    finish(db, finished(begun, 100, 50, user_id=str(user.id)))
    assert used(db, user) == 150
    assert db.execute(
        "select entry, prompt_tokens, completion_tokens from private.usage_ledger where reply_id = %s order by entry",
        [begun["message"]["id"]],
    ).fetchall() == [(1, 12, 3), (2, 88, 47)]


def test_deleting_while_it_is_written_pays_all_the_same(db: Connection, user: Caller, conversation: UUID) -> None:
    begun = send(db, user, conversation)
    with acting(db, user):
        db.execute("delete from public.conversations where id = %s", [conversation])
    assert held(db, user) > 0
    assert finish(db, finished(begun, 7, 30)) == []
    assert (held(db, user), used(db, user)) == (0, 37)


def test_deleted_and_never_settled_is_released(db: Connection, user: Caller, conversation: UUID) -> None:
    begun = send(db, user, conversation)
    with acting(db, user):
        db.execute("delete from public.conversations where id = %s", [conversation])
    recover(db)
    assert held(db, user) > 0
    db.execute("update private.reservations set expires_at = now() - interval '1 second' where user_id = %s", [user.id])
    recover(db)
    assert held(db, user) == 0
    # even then its writer is believed
    finish(db, finished(begun, 7, 30, user_id=str(user.id)))
    assert used(db, user) == 37


# ── budget ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_budget_of_a_month(db: Connection, user: Caller, conversation: UUID) -> None:
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=1000))
    begun = send(db, user, conversation)
    finish(db, finished(begun, 7, 30, cost_micro_usd=999))
    begun = send(db, user, conversation)
    finish(db, finished(begun, 7, 30, cost_micro_usd=1))
    assert refused(db, user, conversation)[:2] == ("PT402", "budget_exceeded")
    with pytest.raises(psycopg.DatabaseError, match="budget_exceeded"):
        regenerate(db, user, begun["message"]["id"])
    assert held(db, user) == 0
    db.execute(
        "update private.usage_ledger set created_at = private.month_start() - interval '1 second' where user_id = %s",
        [user.id],
    )
    send(db, user, conversation)


def test_unpriced_replies_are_no_part_of_the_budget(db: Connection, user: Caller, conversation: UUID) -> None:
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=1))
    finish(db, finished(send(db, user, conversation), 7, 30))
    send(db, user, conversation)


def test_no_budget_at_all(db: Connection, user: Caller, conversation: UUID) -> None:
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=0))
    assert refused(db, user, conversation)[:2] == ("PT402", "budget_exceeded")


# ── what the user is told ────────────────────────────────────────────────────────────────────────────────────────


def test_usage(db: Connection, user: Caller, conversation: UUID) -> None:
    entitle(db, user.id, plan := new_plan(db, monthly_budget_micro_usd=1000, requests_per_minute=10))
    models = [("openai", "a", 500), ("openai", "b", None), ("gemini", "c", 300)]
    for number, (provider, model, cost) in enumerate(models, 1):
        begun = send(db, user, conversation)
        finish(db, finished(begun, 10, number, cached_tokens=4, cost_micro_usd=cost, provider=provider, model=model))
    db.execute(
        "update private.usage_ledger set created_at = date_trunc('day', now(), 'UTC') - interval '1 second' "
        "where user_id = %s and model = 'c'",
        [user.id],
    )
    send(db, user, conversation, p_max_tokens=100)
    with acting(db, user):
        usage = rpc(db, "my_usage")
    assert usage["plan"] == plan
    assert usage["today"] == {
        "replies": 2,
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "cached_tokens": 8,
        "tokens": 23,
        "cost_micro_usd": 500,
        "unpriced_replies": 1,
    }
    assert usage["held_tokens"] == held(db, user) > 100
    assert usage["tokens"]["remaining"] == 100_000 - 23 - held(db, user)
    assert usage["requests"]["limit"] == 10
    assert usage["requests"]["remaining"] == 6
    first_of_month = one(db, "select date_trunc('day', now(), 'UTC') = private.month_start()")
    if not first_of_month:
        assert usage["month"]["cost_micro_usd"] == 800
        assert [(model["model"], model["tokens"]) for model in usage["models"]] == [("c", 13), ("b", 12), ("a", 11)]
        assert usage["budget"] == {"limit_micro_usd": 1000, "remaining_micro_usd": 200}


def test_usage_is_ones_own(db: Connection, user: Caller, conversation: UUID) -> None:
    finish(db, finished(send(db, user, conversation), 7, 30))
    other = new_user(db)
    with acting(db, other):
        usage = rpc(db, "my_usage")
    assert usage["month"]["tokens"] == usage["held_tokens"] == 0
    assert usage["budget"] is None
