"""Keys in the database: whose they are, when they are valid, when their use is noted, and what ends them."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg.errors import UniqueViolation

from app.personal_keys import NewKey, make_key
from scripts.local_supabase import LocalSupabase
from tests.support.callers import SERVICE, Caller, Connection, acting, one, rpc


def add(db: Connection, user: Caller, key: NewKey | None = None, **arguments: object) -> tuple[NewKey, dict[str, Any]]:
    made = key or make_key()
    with acting(db, user):
        arguments = {"p_name": "notebook", "p_hash": made.hash, "p_hint": made.hint, **arguments}
        return made, rpc(db, "create_key", **arguments)


def check(db: Connection, key: NewKey) -> Any:
    with acting(db, SERVICE):
        return rpc(db, "check_key", p_hash=key.hash)


def last_use(db: Connection, key: NewKey) -> Any:
    return one(db, "select last_used_at from private.personal_keys where hash = decode(%s, 'hex')", [key.hash])


def test_a_valid_key_names_its_owner(db: Connection, owner: Caller) -> None:
    key, created = add(db, owner)
    assert check(db, key) == {"key_id": created["id"], "user_id": str(owner.id), "expires_at": None}
    assert check(db, make_key()) is None


def test_owners_see_their_own_without_the_hash(db: Connection, owner: Caller, stranger: Caller) -> None:
    key, created = add(db, owner)
    assert set(created) == {"id", "name", "hint", "scope", "created_at", "expires_at", "last_used_at"}
    with acting(db, owner):
        assert rpc(db, "my_keys") == [created]
    with acting(db, stranger):
        assert rpc(db, "my_keys") == []
    with pytest.raises(psycopg.ProgrammingError, match="not_found"), acting(db, stranger):
        rpc(db, "revoke_key", p_key_id=uuid.UUID(created["id"]))
    assert check(db, key) is not None


@pytest.mark.parametrize(
    "change",
    [
        "update private.personal_keys set expires_at = now() where user_id = %s",
        "delete from private.personal_keys where user_id = %s",
        "update auth.users set banned_until = now() + interval '1 hour' where id = %s",
        "update auth.users set deleted_at = now() where id = %s",
        "delete from auth.users where id = %s",
    ],
)
def test_expired_revoked_and_of_a_user_who_is_banned_or_gone_it_is_none(
    db: Connection, owner: Caller, stranger: Caller, change: str
) -> None:
    key, _ = add(db, owner)
    other, _ = add(db, stranger)
    db.execute(change, [owner.id])
    assert check(db, key) is None
    assert check(db, other) is not None


def test_valid_again_when_the_ban_is_over(db: Connection, owner: Caller) -> None:
    key, _ = add(db, owner)
    db.execute("update auth.users set banned_until = now() - interval '1 second' where id = %s", [owner.id])
    assert check(db, key) is not None


def test_end_is_told_in_seconds(db: Connection, owner: Caller) -> None:
    key, _ = add(db, owner)
    db.execute(
        "update private.personal_keys set expires_at = to_timestamp(4102444800.5) where user_id = %s", [owner.id]
    )
    assert check(db, key)["expires_at"] == 4102444800.5


def test_use_is_noted_once_a_minute(db: Connection, owner: Caller) -> None:
    key, _ = add(db, owner)
    assert last_use(db, key) is None
    check(db, key)
    assert last_use(db, key) == one(db, "select now()")
    for ago, noted in (("59 seconds", False), ("61 seconds", True)):
        db.execute("update private.personal_keys set last_used_at = now() - %s::interval", [ago])
        check(db, key)
        assert (last_use(db, key) == one(db, "select now()")) is noted, ago


def test_a_check_does_not_wait_for_whoever_writes_the_key(
    db: Connection, stack: LocalSupabase, connection: Connection, user: Caller
) -> None:
    key, _ = add(connection, user)
    with psycopg.connect(stack.database_url) as other:
        other.execute("select from private.personal_keys where user_id = %s for update", [user.id])
        db.execute("set local lock_timeout = '2s'")
        assert check(db, key)["user_id"] == str(user.id)


def test_twenty_at_most_and_expired_ones_count(db: Connection, owner: Caller) -> None:
    for _ in range(19):
        add(db, owner)
    # they are listed until they are revoked
    db.execute("update private.personal_keys set expires_at = now() where user_id = %s", [owner.id])
    add(db, owner)
    with pytest.raises(psycopg.ProgrammingError, match="limit_reached"):
        add(db, owner)


def test_the_same_call_once_more_makes_no_second_key(db: Connection, owner: Caller) -> None:
    key, created = add(db, owner)
    assert add(db, owner, key)[1] == created
    with acting(db, owner):
        assert len(rpc(db, "my_keys")) == 1


def test_nobody_takes_the_hash_of_another_ones_key(db: Connection, owner: Caller, stranger: Caller) -> None:
    key, created = add(db, owner)
    with pytest.raises(UniqueViolation), db.transaction():
        add(db, stranger, key)
    assert check(db, key)["key_id"] == created["id"]


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        ({"p_name": " "}, "name: expected 1 to 100 characters"),
        ({"p_name": None}, "name: expected 1 to 100 characters"),
        ({"p_name": "x" * 101}, "name: expected 1 to 100 characters"),
        ({"p_expires_at": "now"}, "expires_at: expected a time within the next 366 days"),
        ({"p_expires_at": "infinity"}, "expires_at: expected a time within the next 366 days"),
        ({"p_hash": "12"}, "p_hash: expected SHA-256"),
        ({"p_hash": None}, "p_hash: expected SHA-256"),
        ({"p_hint": "sk-1234"}, "p_hash: expected SHA-256"),
    ],
)
def test_refused_through_the_data_api_too(
    db: Connection, owner: Caller, arguments: dict[str, object], detail: str
) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="invalid_request") as refused:
        add(db, owner, **arguments)
    assert (refused.value.diag.message_detail or "").startswith(detail)


def test_everything_of_mine_includes_my_keys(db: Connection, owner: Caller, stranger: Caller) -> None:
    mine, _ = add(db, owner)
    theirs, _ = add(db, stranger)
    with acting(db, owner):
        assert rpc(db, "delete_my_data")["more"] is False
    assert check(db, mine) is None
    assert check(db, theirs) is not None


def test_devices_are_told(db: Connection, owner: Caller) -> None:
    key, created = add(db, owner)
    check(db, key)
    with acting(db, owner):
        rpc(db, "revoke_key", p_key_id=uuid.UUID(created["id"]))
    told = db.execute(
        "select event, payload - 'id' from realtime.messages where topic = %s order by inserted_at, event",
        [f"user:{owner.id}"],
    ).fetchall()
    shown = {"key_id" if name == "id" else name: created[name] for name in created if name != "last_used_at"}
    assert told == [("key.created", shown), ("key.revoked", {"key_id": created["id"]})]
