"""What the database says of a user's conversations on user:{id}, on every device, whoever changes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone, as_service, finish, new_conversation, new_reply, value
from tests.support.sockets import V1, V2, Socket


@pytest.fixture
async def devices(connect: Connect, owner: Someone) -> AsyncGenerator[list[Socket]]:
    """Two devices of the owner, one of each version of the protocol."""
    async with connect(V1) as one, connect(V2) as two:
        for socket in (one, two):
            await socket.join(owner.topic, private=True, token=owner.token)
        yield [one, two]


async def heard(devices: list[Socket]) -> tuple[str, dict[str, Any]]:
    """The next event: the same on every device."""
    first, *others = [(await device.next("broadcast")).payload for device in devices]
    assert all(other == first for other in others)
    first["payload"].pop("id")
    return first["event"], first["payload"]


async def test_plain_sql_of_the_service(devices: list[Socket], db: Connection, owner: Someone) -> None:
    async with as_service(db):
        conversation = await new_conversation(db, owner, "first")
        await db.execute("update public.conversations set title = 'second' where id = %s", [conversation])
    async with as_service(db):
        await db.execute("delete from public.conversations where id = %s", [conversation])
    name, created = await heard(devices)
    assert (name, created["conversation_id"], created["title"]) == ("conversation.created", conversation, "first")
    row = {"head_id", "last_message_at", "preview", "message_count", "cost_micro_usd", "tokens"}
    assert set(created) == {"conversation_id", "title", "model", "created_at", "updated_at", *row}
    name, updated = await heard(devices)
    assert (name, updated["conversation_id"], updated["title"]) == ("conversation.updated", conversation, "second")
    assert await heard(devices) == ("conversation.deleted", {"conversation_id": conversation})


async def test_documents_that_are_deleted(devices: list[Socket], db: Connection, owner: Someone) -> None:
    """Each is named; and of a user who goes there is nobody to tell."""
    add = "insert into public.documents (user_id, title, content_hash) values (%s, %s, %s) returning id::text"
    made = [await value(db, add, owner.id, title, title) for title in ("Rules", "Garage", "Garden")]
    assert [(await heard(devices))[1]["document_id"] for _ in made] == made
    await db.execute("delete from public.documents where id = any(%s)", [made[:2]])
    told = [await heard(devices) for _ in range(2)]
    assert sorted(told, key=str) == sorted((("document.deleted", {"document_id": id_}) for id_ in made[:2]), key=str)
    await db.execute("delete from auth.users where id = %s", [owner.id])
    query = "select count(*)::integer from realtime.messages where event = 'document.deleted' and topic = %s"
    assert await value(db, query, owner.topic) == 2


async def test_the_users_own_changes_through_the_data_api(
    stack: LocalSupabase, devices: list[Socket], owner: Someone
) -> None:
    headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {owner.token}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers) as http:
        made = await http.post(
            "/rest/v1/conversations", json={"title": "mine"}, headers={"Prefer": "return=representation"}
        )
        conversation = made.json()[0]["id"]
        assert (await heard(devices))[0] == "conversation.created"
        renamed = await http.patch(f"/rest/v1/conversations?id=eq.{conversation}", json={"model": "gpt-5-mini"})
        assert renamed.status_code == 204
        name, updated = await heard(devices)
        assert (name, updated["title"], updated["model"]) == ("conversation.updated", "mine", "gpt-5-mini")


async def test_instructions_that_are_others(
    devices: list[Socket], db: Connection, owner: Someone, conversation: str
) -> None:
    """The event does not have them: a device that shows them reads them again."""
    created = (await heard(devices))[1]
    await db.execute("update public.conversations set instructions = 'Be brief.' where id = %s", [conversation])
    name, updated = await heard(devices)
    assert (name, updated["conversation_id"]) == ("conversation.updated", conversation)
    assert updated["updated_at"] > created["updated_at"]
    assert "instructions" not in updated
    # the default of the user's
    write = "insert into public.user_settings (user_id, instructions) values (%s, %s) "
    write += "on conflict (user_id) do update set instructions = excluded.instructions"
    for instructions in ("Be kind.", "Be kind.", "Be brief."):
        await db.execute(write, [owner.id, instructions])
    await db.execute("delete from public.user_settings where user_id = %s", [owner.id])
    for _ in range(3):
        name, told = await heard(devices)
        assert (name, set(told)) == ("settings.updated", {"updated_at"})
    for device in devices:
        await device.reply(await device.push("phoenix", "heartbeat", {}))
        assert device.unread("broadcast") == []


async def test_what_changes_nothing_says_nothing(
    devices: list[Socket], db: Connection, owner: Someone, conversation: str
) -> None:
    await heard(devices)
    await db.execute("update public.conversations set title = title where id = %s", [conversation])
    await db.execute("update public.conversations set title = 'new' where user_id = %s", [owner.id])
    assert (await heard(devices))[1]["title"] == "new"


async def test_each_user_hears_of_their_own(
    devices: list[Socket], db: Connection, owner: Someone, stranger: Someone
) -> None:
    """Changes of two users in one statement."""
    for user in (stranger, owner):
        await new_conversation(db, user, "before")
    assert (await heard(devices))[0] == "conversation.created"
    query = "update public.conversations set title = user_id::text where user_id = any(%s::uuid[])"
    await db.execute(query, [[stranger.id, owner.id]])
    assert (await heard(devices))[1]["title"] == owner.id
    for device in devices:
        await device.reply(await device.push("phoenix", "heartbeat", {}))
        assert device.unread("broadcast") == []


async def test_list_moves_with_each_turn(
    devices: list[Socket], db: Connection, owner: Someone, conversation: str
) -> None:
    """When a message is there, when its reply begins, and when it has ended."""
    created = (await heard(devices))[1]
    reply = await new_reply(db, owner, conversation)
    name, asked = await heard(devices)
    assert (name, asked["preview"], asked["message_count"]) == ("conversation.updated", "Hello", 1)
    name, begun = await heard(devices)
    assert (name, begun["head_id"], begun["preview"], begun["message_count"]) == (
        "conversation.updated",
        reply,
        "Hello",
        2,
    )
    assert begun["last_message_at"] >= asked["last_message_at"] > created["last_message_at"]
    await finish(db, reply, "An answer")
    name, ended = await heard(devices)
    assert (name, ended["preview"], ended["last_message_at"]) == (
        "conversation.updated",
        "An answer",
        begun["last_message_at"],
    )
