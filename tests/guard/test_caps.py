"""How much a user may have at a time: held by the database, for the API and the Data API, in one call or in many."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from app.store.usage import Storage
from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, new_user, one, rpc
from tests.support.client import assert_problem, person_client, turn
from tests.support.client import new_conversation as new_conversation_of
from tests.support.service import Api, Person, sign_up
from tests.support.turn_functions import regenerate, send

CAPS = {"conversations": 3, "messages": 4, "documents": 2, "passages": 5, "document_bytes": 1000}


def capped(db: Connection, user: Caller, **caps: int) -> None:
    """Give the user a plan that holds so much."""
    entitle(db, user.id, new_plan(db, **{f"max_{kind}": most for kind, most in caps.items()}))


def document(db: Connection, user: Caller, *contents: str, **arguments: object) -> dict[str, Any]:
    with acting(db, user):
        created: dict[str, Any] = rpc(
            db,
            "create_document",
            **{
                "p_title": "Notes",
                "p_passages": Jsonb([{"content": content} for content in contents]),
                "p_content_hash": uuid.uuid4().hex,
                **arguments,
            },
        )
    return created


def stored(db: Connection, user: Caller) -> dict[str, int]:
    rows = db.execute("select kind, amount from private.stored where user_id = %s and amount <> 0", [user.id])
    return dict(rows.fetchall())


def counted(db: Connection, user: Caller) -> dict[str, int]:
    """The same, by looking at every row."""
    query = """
        select 'conversations', count(*) from public.conversations where user_id = %(id)s
        union all select 'messages', count(*) from public.messages where user_id = %(id)s
        union all select 'documents', count(*) from public.documents where user_id = %(id)s
        union all select 'passages', coalesce(sum(passages), 0) from public.documents where user_id = %(id)s
        union all select 'document_bytes', coalesce(sum(octet_length(content) + octet_length(p.metadata::text)), 0)
        from private.document_passages as p join public.documents as d on d.id = p.document_id where user_id = %(id)s
    """
    return {kind: int(amount) for kind, amount in db.execute(query, {"id": user.id}).fetchall() if amount}


def refused(kind: str, most: int) -> Any:
    words = "bytes of documents" if kind == "document_bytes" else kind
    return pytest.raises(psycopg.DatabaseError, match=f"limit_reached\n.*at most {most} {words} of a user")


# ── conversations ────────────────────────────────────────────────────────────────────────────────────────────────


def test_conversations_of_one_statement_are_refused_together(db: Connection, user: Caller) -> None:
    capped(db, user, conversations=3)
    with refused("conversations", 3) as refusal, acting(db, user):
        db.execute("insert into public.conversations (title) select 'x' from generate_series(1, 4)")
    assert refusal.value.sqlstate == "PT403"
    assert stored(db, user) == {}
    with acting(db, user):
        db.execute("insert into public.conversations (title) select 'x' from generate_series(1, 3)")
    assert stored(db, user) == {"conversations": 3}


def test_deleting_makes_room(db: Connection, user: Caller) -> None:
    capped(db, user, conversations=2)
    conversations = [new_conversation(db, user) for _ in range(2)]
    with acting(db, user):
        db.execute("delete from public.conversations where id = %s", [conversations[0]])
        db.execute("insert into public.conversations (title) values ('x')")
    with refused("conversations", 2), acting(db, user):
        db.execute("insert into public.conversations (title) values ('x')")


def test_rows_that_another_user_has_are_not_counted(db: Connection, user: Caller) -> None:
    capped(db, user, conversations=1)
    other = new_user(db)
    for _ in range(3):
        new_conversation(db, other)
    with acting(db, user):
        db.execute("insert into public.conversations (title) values ('x')")
    assert (stored(db, user), stored(db, other)) == ({"conversations": 1}, {"conversations": 3})


def test_service_may_exceed_what_it_counts(db: Connection, user: Caller) -> None:
    capped(db, user, conversations=1)
    with acting(db, SERVICE):
        db.execute(
            "insert into public.conversations (user_id, title) select %s, 'x' from generate_series(1, 4)", [user.id]
        )
    assert stored(db, user) == {"conversations": 4}
    with refused("conversations", 1), acting(db, user):
        db.execute("insert into public.conversations (title) values ('x')")


async def test_one_too_many_in_one_call_of_the_data_api(stack: LocalSupabase, owned: Connection) -> None:
    person = await sign_up(stack)
    headers = {"apikey": stack.publishable_key, **person.headers}
    async with httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=60) as http:
        answer = await http.post("/conversations", json=[{"title": "x"}] * 10_001)
        assert (answer.status_code, answer.json()["message"]) == (403, "limit_reached")
        assert answer.json()["details"] == (
            "This plan holds at most 10000 conversations of a user; delete some, or take another plan."
        )
        assert (await http.get("/conversations?select=id")).json() == []


async def test_calls_at_the_same_time_do_not_pass_together(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, max_conversations=5))
    async with person_client(replicas[0], person) as one, person_client(replicas[1], person) as two:
        answers = await asyncio.gather(*(client.post("/v1/conversations", json={}) for client in (one, two) * 10))
        assert Counter(answer.status_code for answer in answers) == {201: 5, 403: 15}
        problem = assert_problem(next(answer for answer in answers if answer.status_code == 403), 403, "limit_reached")
        assert problem["detail"].startswith("This plan holds at most 5 conversations of a user")
        assert len((await one.get("/v1/conversations")).json()["items"]) == 5


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_turn_beyond_the_messages_leaves_nothing_behind(db: Connection, user: Caller) -> None:
    capped(db, user, messages=4)
    conversation = new_conversation(db, user)
    first = send(db, user, conversation)
    regenerate_me = first["user_message"]["id"]
    db.execute("update public.messages set status = 'complete' where id = %s", [first["message"]["id"]])
    regenerate(db, user, regenerate_me)
    meter = "select full_at from private.meters where user_id = %s and kind = 'turn'"
    before = one(db, meter, [user.id])
    with refused("messages", 4):
        send(db, user, conversation)
    assert one(db, meter, [user.id]) == before
    assert stored(db, user) == {"conversations": 1, "messages": 3}
    assert one(db, "select count(*) from private.reservations where user_id = %s", [user.id]) == 2


async def test_turn_beyond_the_messages_is_a_problem(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, max_messages=2))
    async with person_client(replicas[0], person) as client:
        conversation = await new_conversation_of(client)
        await turn(client, conversation)
        answer = await client.post(f"/v1/conversations/{conversation}/messages", json={"content": "Hello"})
        problem = assert_problem(answer, 403, "limit_reached")
        assert problem["detail"].startswith("This plan holds at most 2 messages of a user")
        await client.delete(f"/v1/conversations/{conversation}")
        await turn(client, await new_conversation_of(client))


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "fits", "too_much"),
    [
        ("documents", [["one"], ["two"]], ["three"]),
        ("passages", [["one", "two", "three"]], ["four", "five", "six"]),
        ("document_bytes", [["x" * 490], ["x" * 490]], ["x" * 20]),
    ],
)
def test_documents_beyond_the_plan(
    db: Connection, user: Caller, kind: str, fits: list[list[str]], too_much: list[str]
) -> None:
    capped(db, user, **{kind: CAPS[kind]})
    for contents in fits:
        document(db, user, *contents)
    before = stored(db, user)
    with refused(kind, CAPS[kind]):
        document(db, user, *too_much)
    assert stored(db, user) == before == counted(db, user)


def test_new_content_counts_in_place_of_the_old(db: Connection, user: Caller) -> None:
    capped(db, user, passages=5)
    first = document(db, user, "a", "b", "c", "d")["document"]["id"]
    document(db, user, "a", "b", "c", "d", "e", p_document_id=first)
    with refused("passages", 5):
        document(db, user, *"abcdef", p_document_id=first)
    document(db, user, "a", p_document_id=first)
    document(db, user, "b", "c", "d", "e")
    assert stored(db, user) == counted(db, user)
    assert stored(db, user)["passages"] == 5


def test_amounts_are_what_there_is_whatever_is_deleted(db: Connection, user: Caller) -> None:
    conversations = [new_conversation(db, user) for _ in range(3)]
    for conversation in conversations * 2:
        begun = send(db, user, conversation)
        db.execute("update public.messages set status = 'complete' where id = %s", [begun["message"]["id"]])
    documents = [document(db, user, *"abc"[: n + 1])["document"]["id"] for n in range(3)]
    assert stored(db, user) == counted(db, user)
    assert stored(db, user)["messages"] == 12
    with acting(db, user):
        db.execute("delete from public.conversations where id = any(%s)", [conversations[:2]])
        db.execute("delete from public.documents where id = any(%s::uuid[])", [documents[1:]])
    assert stored(db, user) == counted(db, user)
    assert stored(db, user)["messages"] == 4
    db.execute("delete from auth.users where id = %s", [user.id])
    assert stored(db, user) == {}


# ── what one document may be, before it is a row ─────────────────────────────────────────────────────────────────


SECRET = "what nobody may read in a log"


def passages_of(content: object, count: int = 1, **more: object) -> list[dict[str, object]]:
    return [{"content": content, **more}] * count


@pytest.mark.parametrize(
    ("arguments", "status", "detail"),
    [
        ({"p_passages": passages_of(SECRET * 700, 1)}, 422, "passages: expected 1 to 20000 characters as content."),
        ({"p_passages": passages_of("")}, 422, "passages: expected 1 to 20000 characters as content."),
        ({"p_passages": passages_of(SECRET * 600, 700)}, 413, "A document has at most 10485760 bytes of text."),
        ({"p_passages": passages_of(SECRET, 2001)}, 413, "A document has at most 2000 passages."),
        (
            {"p_passages": [SECRET]},
            422,
            "passages: expected objects with a text as content, and an object as metadata.",
        ),
        (
            {"p_passages": passages_of(SECRET, metadata=[SECRET])},
            422,
            "passages: expected objects with a text as content, and an object as metadata.",
        ),
        (
            {"p_passages": passages_of(SECRET, metadata={"a": SECRET * 400})},
            422,
            "passages: expected at most 8192 bytes of metadata.",
        ),
        ({"p_title": SECRET * 50}, 422, "title: expected 1 to 500 characters."),
        ({"p_title": ""}, 422, "title: expected 1 to 500 characters."),
        ({"p_metadata": {"a": SECRET * 400}}, 422, "metadata: expected at most 4096 bytes."),
        ({"p_metadata": [SECRET]}, 422, "metadata: expected an object."),
        ({"p_media_type": SECRET * 5}, 422, "media_type: expected 1 to 100 characters."),
        ({"p_content_hash": SECRET * 5}, 422, "content_hash: expected 1 to 128 characters."),
        ({"p_embedding_model": SECRET * 8}, 422, "embedding_model: expected 1 to 200 characters."),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
async def test_document_that_is_refused_leaves_no_text_in_the_log(
    stack: LocalSupabase, owned: Connection, arguments: dict[str, object], status: int, detail: str
) -> None:
    person = await sign_up(stack)
    body = {"p_title": "x", "p_passages": passages_of(SECRET), "p_content_hash": uuid.uuid4().hex, **arguments}
    answer = await as_person(stack, person, "POST", "/rpc/create_document", body)
    assert (answer.status_code, answer.json()["details"]) == (status, detail)
    assert_no_text_in_the_log(stack, owned)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/conversations", {"title": SECRET * 10}),
        ("POST", "/conversations", [{"model": SECRET * 10}]),
        ("PATCH", "/conversations?id=eq.{conversation}", {"title": SECRET * 10}),
        (
            "POST",
            "/rpc/begin_turn",
            {"p_conversation_id": "{conversation}", "p_content": SECRET, "p_idempotency_key": SECRET * 10},
        ),
        (
            "POST",
            "/rpc/begin_turn",
            {
                "p_conversation_id": "{conversation}",
                "p_content": SECRET,
                "p_idempotency_key": "k",
                "p_request_hash": SECRET * 10,
            },
        ),
    ],
)
async def test_text_that_a_constraint_would_refuse_is_not_in_the_log(
    stack: LocalSupabase, owned: Connection, method: str, path: str, body: Any
) -> None:
    person = await sign_up(stack)
    made = await as_person(stack, person, "POST", "/conversations?select=id", {"title": "x"})
    conversation = made.json()[0]["id"]
    if isinstance(body, dict) and "p_content" in body:
        body = {**body, "p_conversation_id": conversation, "p_writer": str(uuid.uuid4())}
    answer = await as_person(stack, person, method, path.format(conversation=conversation), body)
    assert (answer.status_code, answer.json()["message"]) == (422, "invalid_request")
    assert_no_text_in_the_log(stack, owned)


async def as_person(stack: LocalSupabase, person: Person, method: str, path: str, body: Any) -> httpx.Response:
    headers = {"apikey": stack.publishable_key, "Prefer": "return=representation", **person.headers}
    async with httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=60) as http:
        return await http.request(method, path, json=body)


def assert_no_text_in_the_log(stack: LocalSupabase, owned: Connection) -> None:
    """Once all that was logged before is there: Postgres' processes write it one after the other."""
    marker = uuid.uuid4().hex
    with pytest.raises(psycopg.DatabaseError):
        owned.execute(f"select '{marker}'::integer")
    log: Path = stack.data / "logs" / "postgres.log"
    deadline = time.monotonic() + 30
    while marker not in (written := log.read_text(errors="replace")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert SECRET not in written


async def test_text_of_the_largest_document_passes(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    """What the API takes, the database does."""
    person = await sign_up(stack)
    async with person_client(replicas[0], person) as client:
        text = "\n\n".join(hashlib.sha256(str(n).encode()).hexdigest() + " " * 40 for n in range(2000))
        answer = await client.post("/v1/documents", json={"title": "x", "content": text})
        assert answer.status_code == 201, answer.text


# ── what is left ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_usage_says_what_is_left(stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]) -> None:
    plan = new_plan(owned, requests_per_minute=10, **{f"max_{kind}": 100 * most for kind, most in CAPS.items()})
    person = await sign_up(stack, plan)
    async with person_client(replicas[0], person) as client:
        await turn(client, await new_conversation_of(client))
        await client.post("/v1/documents", json={"title": "x", "content": "Some text."})
        usage = (await client.get("/v1/usage")).json()
    assert usage["storage"].keys() == set(Storage.__struct_fields__)
    left = {kind: allowance["used"] for kind, allowance in usage["storage"].items()}
    metadata = '{"end": 10, "start": 0}'
    assert left == {
        "conversations": 1,
        "messages": 2,
        "documents": 1,
        "passages": 1,
        "document_bytes": len("Some text.") + len(metadata),
    }
    for kind, allowance in usage["storage"].items():
        assert allowance["limit"] == 100 * CAPS[kind]
        assert allowance["remaining"] == allowance["limit"] - allowance["used"]
    assert {kind: quota["remaining"] for kind, quota in usage["other_requests"].items()} == {
        "search": 10,
        "document": 9,
        "moderation": 10,
    }


async def test_usage_of_who_has_more_than_they_may(db: Connection, user: Caller) -> None:
    """After a downgrade nothing is taken away, and nothing is left."""
    capped(db, user, conversations=1)
    for _ in range(3):
        new_conversation(db, user)
    with acting(db, user):
        usage = rpc(db, "my_usage")
    assert usage["storage"]["conversations"] == {"limit": 1, "used": 3, "remaining": 0}
